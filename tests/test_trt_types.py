"""The TensorRT engine against types generated from NVIDIA's real bindings, before and after 11."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cuda.kit import HOME, MAJORS, need
from tests.cuda.surface import attributes, read_surface

ROOT = Path(__file__).parents[1]
ENGINE = sorted((ROOT / "engines" / "trt").glob("*.py"))
VERSIONS = sorted(MAJORS)
CONFIGURATION = """[mypy]
strict = True
error_summary = False
[mypy-tensorrt.*]
ignore_errors = True
[mypy-pycuda.*,cuda.*,google.*]
ignore_missing_imports = True
"""
# Names that TensorRT's classes share with those of other libraries.
COMMON = {"append", "dtype", "float32", "pop", "remove", "uint8", "__version__"}


def check(version, tmp_path, *arguments):
    """Run mypy with the types of one version; return its lines, without the summary."""
    need(f"stubs-{version}")
    configuration = tmp_path / "mypy.ini"
    configuration.write_text(CONFIGURATION)
    options = ["--config-file", configuration, "--cache-dir", HOME / f"mypy-{version}"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *arguments],
        env={"MYPYPATH": str(HOME / f"stubs-{version}"), "PATH": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode < 2, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_engine_passes_strict_types(version, tmp_path):
    assert check(version, tmp_path, "-p", "engines.trt") == []


SNIPPET = """import tensorrt as trt
def build(builder: trt.Builder, config: trt.IBuilderConfig) -> None:
    config.set_flag(trt.BuilderFlag.{flag})
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, {limit})
    builder.{method}()
"""


@pytest.mark.parametrize(
    ("flag", "limit", "method", "line"),
    [
        ("FP16", "1", "create_builder_config", 3),
        ("TF32", "'1'", "create_builder_config", 4),
        ("TF32", "1", "create_config", 5),
    ],
    ids=["removed-flag", "wrong-argument", "wrong-method"],
)
def test_types_of_11_name_what_is_wrong(flag, limit, method, line, tmp_path):
    text = SNIPPET.format(flag=flag, limit=limit, method=method)
    lines = check("11.4", tmp_path, "-c", text)
    assert [int(found.split(":")[1]) for found in lines if ": error:" in found] == [line]


def test_types_of_10_still_have_the_removed_flag(tmp_path):
    text = SNIPPET.format(flag="FP16", limit="1", method="create_builder_config")
    assert check("10.16", tmp_path, "-c", text) == []


def reveal(path, names):
    """Return a file's text with x made reveal_type(x) in every x.name, and the places."""
    lines = path.read_text().splitlines()
    marks = []
    found = [node.value for node in attributes(path) if node.attr in names]
    for node in found:
        marks += [(node.end_lineno, node.end_col_offset, ")")]
        marks += [(node.lineno, node.col_offset, "reveal_type(")]
    for number, column, mark in sorted(marks, reverse=True):
        lines[number - 1] = lines[number - 1][:column] + mark + lines[number - 1][column:]
    return "\n".join(lines) + "\n", {(path.name, node.lineno) for node in found}


def test_no_use_of_tensorrt_in_the_engine_escapes_the_types(tmp_path):
    need("stubs-11.4")
    real = read_surface(HOME / "stubs-11.4" / "tensorrt" / "__init__.pyi")
    own = {name for path in (ROOT / "engines").rglob("*.py") for name in definitions(path)}
    members = {name.split(".")[-1] for name in real if "." in name} - own - COMMON
    members = {name for name in members if name.isupper() or name.islower()}  # no nested classes
    shadows, uses = [], set()
    for path in ENGINE:
        text, found = reveal(path, members)
        (tmp_path / path.name).write_text(text)
        shadows += ["--shadow-file", path, tmp_path / path.name]
        uses |= found
    report = "\n".join(check("11.4", tmp_path, *shadows, "-p", "engines.trt"))
    notes = re.findall(r'(?m)^\S+/(\S+?):(\d+): note: Revealed type is "(.*)"', report)
    assert len(uses) > 30
    assert uses <= {(file, int(line)) for file, line, revealed in notes if "tensorrt." in revealed}
    assert [note for note in notes if note[2] == "Any"] == []


def definitions(path):
    """Return the names of functions, classes and fields that a file defines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
