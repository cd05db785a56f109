"""Build the GPU proof kit in .venv/gpu-proof: `python -m tests.cuda.setup`. README.md says why.

Builds only what is not there or was built from other sources. What cannot be built on this machine
is named in missing.txt with its reason, and the tests that need it say so.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.cuda.kit import HOME, MAJORS, REASONS, bindings_environment
from tests.cuda.stubs import write_stubs

HERE = Path(__file__).parent
PYCUDA = "2026.1"
BINDINGS = {"10.16": "10.16.1.11", "11.4": "11.4.0.106"}
TENSORRT_LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
TIME_LIMIT_S = 300


class ImpossibleError(Exception):
    """A part cannot be built on this machine; the text says why."""


@dataclass(frozen=True)
class Step:
    """One part of the kit, a folder in .venv/gpu-proof.

    Parameters
    ----------
    name : of the part and its folder
    build : fills the folder, which exists and is empty
    made_from : what the result depends on; another text means another build
    """

    name: str
    build: Callable[[Path], None]
    made_from: str


def main() -> None:
    """Build what is absent; write the reasons for what cannot be built."""
    HOME.mkdir(parents=True, exist_ok=True)
    chains = [cuda_steps(), *(tensorrt_steps(version) for version in BINDINGS)]
    with ThreadPoolExecutor(2) as pool:
        reasons = [line for lines in pool.map(run_chain, chains) for line in lines]
    REASONS.write_text("".join(f"{line}\n" for line in reasons))


def run_chain(steps: list[Step]) -> list[str]:
    """Run steps in order; return one line per part that is missing."""
    reasons: list[str] = []
    for step in steps:
        failed = reasons[0].split(":")[0] if reasons else None
        reason = f"{step.name}: needs {failed}" if failed else run_step(step)
        reasons += [reason] if reason else []
    return reasons


def run_step(step: Step) -> str | None:
    """Build one part unless it is there; return the reason if it cannot be built."""
    folder, stamp = HOME / step.name, HOME / f"{step.name}.made"
    digest = hashlib.sha256(step.made_from.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        print(f"gpu-proof: {step.name}: there", flush=True)
        return None
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    start = time.monotonic()
    try:
        step.build(folder)
    except ImpossibleError as error:
        shutil.rmtree(folder)
        print(f"gpu-proof: {step.name}: missing, {error}", flush=True)
        return f"{step.name}: {error}"
    stamp.write_text(digest)
    print(f"gpu-proof: {step.name}: built in {time.monotonic() - start:.0f} s", flush=True)
    return None


def call(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output.

    Raises
    ------
    ImpossibleError
        With the first error that it wrote, if it fails.
    """
    program = Path(command[0]).name
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env=env,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise ImpossibleError(f"{program} took more than {TIME_LIMIT_S} s") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        errors = [line for line in lines if "error: " in line.lower() and "subprocess" not in line]
        raise ImpossibleError(f"{program} failed: {(errors or lines[-1:])[0].strip()[:200]}")
    return done.stdout


def tool(name: str) -> str:
    """Return the path of a program."""
    path = shutil.which(name)
    if path is None:
        raise ImpossibleError(f"no {name}")
    return path


# --- PyCUDA over the fake driver ------------------------------------------------------------


def cuda_steps() -> list[Step]:
    """Return the steps to PyCUDA, and to the driver with every function that PyCUDA links to."""
    sources = "".join(path.read_text() for path in sorted(HERE.glob("fake_*")))
    python = f"{sys.version_info[:2]} {PYCUDA}"
    return [
        Step("pycuda", build_pycuda, python + inspect.getsource(build_pycuda)),
        Step("driver", build_driver, python + sources),
    ]


def cuda_headers() -> list[Path]:
    """Return the folder of cuda.h and, last, that of our stand-in for a header that may be absent.

    Headers that come as a package, with torch, are taken before those of a toolkit.
    """
    package = importlib.util.find_spec("nvidia")
    places = list(package.submodule_search_locations or ()) if package else []
    found = sorted(Path("/usr/local").glob("cuda*/include/cuda.h"))
    found += [path for place in places for path in sorted(Path(place).glob("*/include/cuda.h"))]
    if not found:
        raise ImpossibleError("no cuda.h, neither from a package nor from a toolkit")
    return [found[-1].parent, HERE / "include"]


def build_pycuda(folder: Path) -> None:
    """Build PyCUDA from its source distribution; its driver comes with the next step."""
    tool("g++")
    headers = cuda_headers()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "cuda.c").write_text("int cuInit(void) { return 0; }\n")  # enough to link against
        call(tool("gcc"), "-shared", "-fPIC", work / "cuda.c", "-o", work / "libcuda.so",
             "-Wl,-soname,libcuda.so.1")  # fmt: skip
        call(*PIP, "download", "--no-deps", "--no-build-isolation", "--no-binary", "pycuda",
             "--dest", work, f"pycuda=={PYCUDA}")  # fmt: skip
        with tarfile.open(next(work.glob("pycuda-*.tar.gz"))) as archive:
            archive.extractall(work, filter="data")
        source = work / f"pycuda-{PYCUDA}"
        configuration = {
            "USE_SHIPPED_BOOST": True,
            "CUDA_ENABLE_CURAND": False,
            "CUDA_INC_DIR": [str(path) for path in headers],
            "CUDADRV_LIB_DIR": [str(work)],
            "CXXFLAGS": ["-O0", "-g0", "-w"],
        }
        lines = [f"{key} = {value!r}\n" for key, value in configuration.items()]
        (source / "siteconf.py").write_text("".join(lines))
        call(*PIP, "install", "--no-deps", "--no-build-isolation", "--target", folder, source)


def build_driver(folder: Path) -> None:
    """Build libcuda.so.1: the fake, and "not supported" for what else PyCUDA links to."""
    extension = next((HOME / "pycuda" / "pycuda").glob("_driver*.so"))
    headers = [f"-I{path}" for path in cuda_headers()]
    compile_c = (tool("gcc"), "-Wall", "-Werror", "-O1", "-fPIC", "-fvisibility=hidden")
    fake = folder / "fake.o"
    call(*compile_c, *headers, "-c", HERE / "fake_libcuda.c", "-o", fake)
    wanted = symbols(extension, "--dynamic", "--undefined-only")
    absent = sorted(name for name in wanted - symbols(fake) if name.startswith("cu"))
    source = folder / "absent.c"
    exported = '__attribute__((visibility("default")))'
    source.write_text(
        f"#define ABSENT(name) {exported} int name(void) {{ return 801; }}\n"
        + "".join(f"ABSENT({name})\n" for name in absent)
    )
    call(*compile_c, "-shared", source, fake, "-o", folder / "libcuda.so.1",
         "-Wl,-soname,libcuda.so.1", "-ldl", "-lpthread")  # fmt: skip


def symbols(library: Path, *options: str) -> set[str]:
    """Return the names that `nm` lists."""
    lines = call(tool("nm"), *options, library).splitlines()
    return {line.split()[-1].split("@")[0] for line in lines if line}


# --- the real TensorRT bindings over stub libraries -----------------------------------------


def tensorrt_steps(version: str) -> list[Step]:
    """Return the steps to the bindings of one version and to their type stubs."""
    python = f"{sys.version_info[:2]} {BINDINGS[version]}"
    rules = (HERE / "stubs.py").read_text()

    def bindings(folder: Path) -> None:
        package = f"tensorrt_cu13_bindings=={BINDINGS[version]}"
        call(*PIP, "install", "--no-deps", "--target", folder, package)

    def libraries(folder: Path) -> None:
        for name in TENSORRT_LIBRARIES:
            soname = f"lib{name}.so.{MAJORS[version]}"
            call(tool("gcc"), "-shared", "-fPIC", HERE / "stub_tensorrt.c", "-o", folder / soname,
                 f"-Wl,-soname,{soname}")  # fmt: skip

    def stubs(folder: Path) -> None:
        if importlib.util.find_spec("pybind11_stubgen") is None:
            raise ImpossibleError("no pybind11-stubgen")
        call(sys.executable, "-m", "pybind11_stubgen", "tensorrt_bindings.tensorrt",
             "--ignore-all-errors", "-o", folder / "raw",
             env=bindings_environment(version))  # fmt: skip
        write_stubs(next(folder.rglob("tensorrt.pyi")), folder / "tensorrt" / "__init__.pyi")

    return [
        Step(f"bindings-{version}", bindings, python),
        Step(f"libs-{version}", libraries, python + (HERE / "stub_tensorrt.c").read_text()),
        Step(f"stubs-{version}", stubs, python + rules),
    ]


if __name__ == "__main__":
    os.environ["PIP_NO_INPUT"] = "1"
    main()
