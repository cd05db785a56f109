"""The TensorRT path on the real PyCUDA over the fake driver, with the stand-in for TensorRT.

The facts are in `tests/trt_standin/*_facts.py`. They run in one process that sees the fake driver,
and each is reported here.
"""

from pathlib import Path

import pytest

from tests.cuda import kit

FOLDER = Path(__file__).parent / "trt_standin"
# The last one frees nothing.
NAMES = ("engine", "graph", "build", "memory", "mutant", "doctor", "device")
FILES = tuple(FOLDER / f"{name}_facts.py" for name in NAMES)


@pytest.mark.parametrize(
    ("file", "fact"), [(path.stem, name) for path in FILES for name in kit.fact_names(path)]
)
def test_tensorrt_path(file, fact):
    kit.need("pycuda", "driver")
    done, outcomes = kit.run_facts(*FILES)
    assert outcomes.get((file, fact)) == {"PASSED"}, done.stdout + done.stderr


def test_every_file_of_facts_is_run():
    assert set(FILES) == set(FOLDER.glob("*_facts.py"))


def test_the_process_of_facts_ends_well():
    kit.need("pycuda", "driver")
    done, _ = kit.run_facts(*FILES)
    assert done.returncode == 0, done.stdout + done.stderr
