"""Facts about who imports whom, read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("engines", "stream", "calib", "benchmarks", "train")
MAY_IMPORT = {
    "engines": {"engines"},
    "stream": {"engines", "stream"},
    "calib": {"engines", "stream", "calib"},
    "benchmarks": {"engines", "stream", "calib", "train", "benchmarks"},
    "train": {"engines", "stream", "calib", "train"},
}
TRAIN_SEES = (
    "stream.sources",
    "stream.frame",
    "stream.errors",
    "stream.console",
    "calib.temperature",
)
ONLY_IN = {
    "torch": (
        "train/",
        "benchmarks/loops.py",
        "benchmarks/bench_train.py",
        "benchmarks/engine_torch.py",
        "benchmarks/gpu_card.py",
    ),
    "timm": ("train/",),
    "lightning": ("train/",),
    "captum": ("train/attribution/",),
    "matplotlib": ("train/figures/", "train/attribution/", "benchmarks/plot.py"),
    "openpyxl": (
        "train/data/sheet.py",
        "train/scoring/predictions.py",
        "stream/archive/table.py",
    ),
    "reportlab": ("train/runs/paper.py", "stream/report/pdf/"),
    "safetensors": ("train/fitting/checkpoint.py", "train/nets/weights.py"),
    "skimage": ("train/attribution/",),
    "tensorrt": ("engines/trt/",),
    "pycuda": ("engines/trt/",),
    "cuda": ("engines/trt/",),
    "openvino": ("engines/ov.py", "stream/report/privacy/networks.py", "benchmarks/loops.py"),
    "onnxruntime": ("engines/ort.py", "engines/ort_cuda.py", "calib/", "benchmarks/loops.py"),
    "zmq": ("stream/live/wire/sockets.py",),
    "pyigtl": ("stream/sources/live/igtl.py",),
    "zlib_ng": ("stream/png.py",),
    "rich": ("stream/console.py",),
    "av": ("stream/sources/", "engines/area.py", "benchmarks/"),
    "pydicom": ("stream/sources/", "stream/report/", "stream/send/"),
    "highdicom": ("stream/report/dicom/",),
    "pynetdicom": ("stream/send/",),
    "ray": ("stream/archive/ray_pool.py",),
    "starlette": ("stream/review/",),
    "uvicorn": ("stream/review/",),
    "pickle": ("train/nets/weights.py",),  # for the name of the error alone
}
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(path):
    """Return every name that a file imports, with its module, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    room = path.relative_to(ROOT).parts[0]
    rooms = {name.split(".")[0] for name in imported(path)} & set(ROOMS)
    assert rooms <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", sorted((ROOT / "train").rglob("*.py")), ids=lambda p: p.name)
def test_train_sees_sources_and_frames_only(path):
    foreign = [n for n in imported(path) if n.startswith(("stream", "calib"))]
    assert [name for name in foreign if not name.startswith(TRAIN_SEES)] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_each_library_is_imported_where_it_belongs(path):
    place = path.relative_to(ROOT).as_posix()
    for library, allowed in ONLY_IN.items():
        if any(name.split(".")[0] == library for name in imported(path)):
            assert place.startswith(allowed), f"{place} imports {library}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_and_functions_stay_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 40, f"{node.name} has {lines} lines"


HEAVY = (
    "torch",
    "tensorrt",
    "openvino",
    "onnx",
    "onnxruntime",
    "matplotlib",
    "cv2",
    "numpy",
    "rich",
    "zmq",
)


def test_the_command_line_loads_nothing_heavy():
    program = f"import sys, stream.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_evaluation_works_without_torch():
    modules = "train.scoring.evaluate, train.scoring.pointing"
    program = f"import sys; sys.modules['torch'] = None; import {modules}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
