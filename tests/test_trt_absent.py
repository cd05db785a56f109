"""TensorRT where it cannot run: one line says what is missing."""

import subprocess
import sys
import types

import pytest

from engines.errors import EngineError
from engines.options import EngineOptions
from engines.trt import identify, load_engine, require_runtime


def test_importing_the_package_loads_none_of_the_gpu_libraries():
    program = "import sys, engines.trt; print({'tensorrt', 'pycuda', 'cuda'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize("absent", ["tensorrt", "pycuda.driver"])
def test_a_missing_library_is_named(monkeypatch, absent):
    for name in ("tensorrt", "pycuda", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, absent, None)
    for ask in (identify, lambda options: load_engine(None, options, b"")):
        with pytest.raises(EngineError, match=f"engine tensorrt: {absent} cannot be imported"):
            ask(EngineOptions())


@pytest.mark.parametrize(
    ("version", "taken"),
    [
        ("8.6.1", False),
        ("10.11.0.33", False),
        ("10.12.0.36", True),
        ("10.16.1.11", True),
        ("11.4.0.106", True),
    ],
)
def test_versions_before_complete_strong_typing_are_refused(monkeypatch, version, taken):
    for name in ("tensorrt", "pycuda", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["tensorrt"].__version__ = version
    if taken:
        assert require_runtime() == version
    else:
        with pytest.raises(EngineError, match=f"TensorRT {version} is too old; expected 10.12"):
            require_runtime()
