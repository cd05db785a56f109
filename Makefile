# Two commands are enough on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench pictures gpu-proof system-deps clean

demo: .venv/core
	$(BIN)/stream demo

# One test process a core, so one thread each; files stay whole, since their fixtures are dear.
# Training apart: torch has died of a segmentation fault in processes that ran everything before it.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile
test: .venv/dev system-deps gpu-proof
	$(PYTEST) tests/test_train*.py
	$(PYTEST) --ignore-glob='tests/test_train*'

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

bench: .venv/dev
	$(BIN)/stream bench
	$(BIN)/stream bench train
	$(BIN)/stream bench engines --quick

# What the tests of the TensorRT path stand on: real bindings, real PyCUDA, a fake CUDA driver.
gpu-proof: .venv/dev
	$(BIN)/python -m tests.cuda.setup

# The pictures in docs/images, drawn from the phantom.
pictures: .venv/dev system-deps
	$(BIN)/python -m docs.pictures

# Debian packages for the tests that open a real browser; skipped where they cannot be installed.
system-deps:
	@command -v chromium >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null \
	    || echo "system-deps: chromium could not be installed; its tests will be skipped"; \
	  else echo "system-deps: chromium is missing; its tests will be skipped"; fi; }

.venv/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/dev: .venv/core
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,dicom,dev]"
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info sessions runs
