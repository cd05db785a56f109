"""The TensorRT path on the real PyCUDA over the fake driver, with the stand-in for TensorRT.

The facts are in `tests/trt_standin/*_facts.py`. They run in one process that sees the fake driver,
and each is reported here.
"""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.cuda.kit import ROOT, kit_environment, need

FOLDER = Path(__file__).parent / "trt_standin"
FILES = ("engine", "build", "memory", "mutant", "doctor", "device")  # the last one frees nothing
LIMIT_S = 110


def facts():
    """Yield the file and the name of each fact."""
    for name in FILES:
        for node in ast.parse((FOLDER / f"{name}_facts.py").read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield name, node.name


@cache
def run_facts():
    """Run all facts; return how the process ended, and the outcomes by file and name."""
    paths = [FOLDER / f"{name}_facts.py" for name in FILES]
    call = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--tb=short", *paths]
    done = subprocess.run(
        call, env=kit_environment(), cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S
    )
    lines = re.findall(
        r"^(PASSED|FAILED|ERROR) .*/(\w+)_facts.py::(\w+)", done.stdout, re.MULTILINE
    )
    return done, lines


@pytest.mark.parametrize(("file", "fact"), list(facts()))
def test_tensorrt_path(file, fact):
    need("pycuda", "driver")
    done, lines = run_facts()
    found = [outcome for outcome, *place in lines if place == [file, fact]]
    assert found, done.stdout + done.stderr
    assert set(found) == {"PASSED"}, done.stdout


def test_every_file_of_facts_is_run():
    assert {f"{name}_facts.py" for name in FILES} == {p.name for p in FOLDER.glob("*_facts.py")}


def test_the_process_of_facts_ends_well():
    need("pycuda", "driver")
    done, _ = run_facts()
    assert done.returncode == 0, done.stdout + done.stderr
