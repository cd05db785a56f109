"""The TensorRT path on the real PyCUDA over the fake driver, with the stand-in for TensorRT.

The facts are in `tests/trt_standin/*_facts.py`; each file runs whole in one process that sees the
fake driver, and each of its facts is reported here.
"""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.cuda.kit import ROOT, kit_environment, need

FACTS = sorted((Path(__file__).parent / "trt_standin").glob("*_facts.py"))
LIMIT_S = 100


def names(path):
    """Return the names of the test functions of a file."""
    tree = ast.parse(path.read_text())
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in functions if name.startswith("test_")]


@cache
def run_facts(path):
    """Run a file of facts; return pytest's report and the outcome of each of its lines."""
    call = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--tb=short", path]
    done = subprocess.run(
        call, env=kit_environment(), cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S
    )
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR) .*::(\w+)", done.stdout, re.MULTILINE)
    return done, outcomes


@pytest.mark.parametrize(
    ("path", "fact"),
    [(path, name) for path in FACTS for name in names(path)],
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)
def test_tensorrt_path(path, fact):
    need("pycuda", "driver")
    done, outcomes = run_facts(path)
    found = [outcome for outcome, name in outcomes if name == fact]
    assert found, done.stdout + done.stderr
    assert set(found) == {"PASSED"}, done.stdout


@pytest.mark.parametrize("path", FACTS, ids=lambda path: path.stem)
def test_the_process_of_facts_ends_well(path):
    need("pycuda", "driver")
    done, _ = run_facts(path)
    assert done.returncode == 0, done.stdout + done.stderr
