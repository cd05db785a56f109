# Two commands are enough on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow check bench pictures soak gpu-proof system-libs system-deps clean

demo: .venv/core system-libs
	$(BIN)/stream demo

# One test process a core, so one thread each; files stay whole, since their fixtures are dear.
# Training apart: torch has died of a segmentation fault in processes that ran everything before it.
# Live sessions alone: several processes each, with bounds on time. What misses one on a busy machine
# is run once more, and both runs are seen.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist loadfile
test: .venv/dev system-deps gpu-proof
	$(PYTEST) $(SIDE_BY_SIDE) -m 'not slow' tests/test_train*.py
	$(PYTEST) $(SIDE_BY_SIDE) -m 'not slow' --ignore-glob='tests/test_train*' --ignore=tests/live
	$(PYTEST) -m 'not slow' tests/live || $(PYTEST) -m 'not slow' --last-failed tests/live

# The tests that take long; CI runs them too.
test-slow: .venv/dev system-deps gpu-proof
	$(PYTEST) $(SIDE_BY_SIDE) -m slow tests/test_train*.py
	$(PYTEST) $(SIDE_BY_SIDE) -m slow --ignore-glob='tests/test_train*' --ignore=tests/live
	$(PYTEST) -m slow tests/live || $(PYTEST) -m slow --last-failed tests/live

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

bench: .venv/dev
	$(BIN)/stream bench all --quick

# What the tests of the TensorRT path stand on: real bindings, real PyCUDA, a fake CUDA driver.
gpu-proof: .venv/dev
	$(BIN)/python -m tests.cuda.setup

# Twenty minutes of live with a fault every 30 s, then a million drawn scenes.
soak: .venv/dev system-deps
	$(BIN)/python -m tests.live_soak 20
	$(BIN)/python -m tests.live_overlay 1000000

# The pictures in docs/images, drawn from the phantom.
pictures: .venv/dev system-deps
	$(BIN)/python -m docs.pictures
	$(BIN)/python -m docs.live_pictures
	$(BIN)/python -m docs.review_picture

# What OpenCV's window needs; without these two libraries nothing starts.
system-libs: .venv/core
	@$(BIN)/python -c "import cv2" 2>/dev/null || $(call install,libgl1 libglib2.0-0,nothing that shows or scales pictures will run)

# Debian packages for tests with a real browser, window, sender, RTSP server or DICOM archive, and
# for judges of PDF and DICOM; these tests are skipped without.
system-deps: system-libs
	@command -v chromium >/dev/null 2>&1 || $(call install,chromium,its tests will be skipped)
	@{ command -v Xvfb && command -v xdotool && command -v ffmpeg; } >/dev/null 2>&1 \
	  || $(call install,xvfb xdotool ffmpeg,tests with a window or a sender will be skipped)
	@/usr/bin/python3 -c "import gi; gi.require_version('GstRtspServer', '1.0')" 2>/dev/null \
	  || $(call install,python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base \
	    gstreamer1.0-plugins-good gstreamer1.0-plugins-bad,tests with RTSP will be skipped)
	@{ command -v dciodvfy && command -v storescp && command -v Orthanc && command -v pdftoppm && \
	    command -v openssl; } >/dev/null 2>&1 \
	  || $(call install,dicom3tools dcmtk orthanc poppler-utils openssl,the tests of DICOM \
	    and PDF by others will be skipped)

# Install Debian packages where that is possible, else say what follows.
define install
{ \
  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $(1); } >/dev/null 2>&1 \
    || echo "$@: $(1) could not be installed; $(2)"; \
  else echo "$@: $(1) missing; $(2)"; fi; }
endef

.venv/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/dev: .venv/core
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,dicom,igtl,cluster,dev]"
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info sessions runs
