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
[mypy-tensorrt.*]
ignore_errors = True
[mypy-pycuda.*,cuda.*,google.*]
ignore_missing_imports = True
"""
MAKERS = ("create_", "get_", "deserialize_")
# Names that TensorRT's classes share with those of other libraries.
COMMON = {"append", "dtype", "float32", "pop", "remove", "uint8", "__version__"}


def check(version, tmp_path, *arguments):
    """Run mypy with the types of one version; return its lines, without the summary."""
    need(f"stubs-{version}")
    configuration = tmp_path / "mypy.ini"
    configuration.write_text(CONFIGURATION)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", configuration, "--no-error-summary"]
        + ["--cache-dir", HOME / f"mypy-{version}", *arguments],
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
    [("FP16", "1", "create_builder_config", 3), ("TF32", "'1'", "create_builder_config", 4)]
    + [("TF32", "1", "create_config", 5)],
    ids=["removed-flag", "wrong-argument", "wrong-method"],
)
def test_types_of_11_name_what_is_wrong(flag, limit, method, line, tmp_path):
    text = SNIPPET.format(flag=flag, limit=limit, method=method)
    lines = check("11.4", tmp_path, "-c", text)
    assert [int(found.split(":")[1]) for found in lines if ": error:" in found] == [line]


def test_types_of_10_still_have_the_removed_flag(tmp_path):
    text = SNIPPET.format(flag="FP16", limit="1", method="create_builder_config")
    assert check("10.16", tmp_path, "-c", text) == []


def rename(path, names):
    """Return a file's text with `.name` made `.name_gone`, and the lines where that was."""
    lines = path.read_text().splitlines()
    found = [node for node in attributes(path) if node.attr in names]
    for node in sorted(found, key=lambda n: (n.end_lineno, n.end_col_offset), reverse=True):
        line = lines[node.end_lineno - 1]
        lines[node.end_lineno - 1] = (
            line[: node.end_col_offset] + "_gone" + line[node.end_col_offset :]
        )
    return "\n".join(lines) + "\n", {node.end_lineno for node in found}


@pytest.mark.parametrize("makes", [True, False], ids=["makers", "others"])
def test_no_use_of_tensorrt_in_the_engine_escapes_the_types(makes, tmp_path):
    """Misspell every TensorRT name, in two groups: what a misspelt maker makes has no type."""
    need("stubs-11.4")
    real = read_surface(HOME / "stubs-11.4" / "tensorrt" / "__init__.pyi")
    own = {node.name for path in (ROOT / "engines").rglob("*.py") for node in definitions(path)}
    names = {name.split(".")[-1] for name in real if "." in name} - own - COMMON
    names = {name for name in names if name.startswith(MAKERS) == makes}
    shadows, expected = [], set()
    for path in ENGINE:
        text, lines = rename(path, names)
        (tmp_path / path.name).write_text(text)
        shadows += ["--shadow-file", path, tmp_path / path.name]
        expected |= {(path.name, line) for line in lines}
    report = "\n".join(check("11.4", tmp_path, *shadows, "-p", "engines.trt"))
    seen = re.findall(r"(?m)^\S+/(\S+?):(\d+): error: .*_gone", report)
    assert len(expected) > 5
    assert expected - {(file, int(line)) for file, line in seen} == set()


def definitions(path):
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
