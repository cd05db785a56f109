"""Small trees of recordings, and the archive command as a real process."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import msgspec
import numpy as np
import psutil

from stream.session.compare import first_difference
from stream.session.manifest import JOURNAL, read_manifest
from tests.clips import write_clip

ROOT = Path(__file__).parents[1]
LIMIT_S = 120
PROGRAM = """
import signal, sys
from stream import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(cli.main())
"""


def plant(root: Path, clips: int = 3, frames: int = 12) -> Path:
    """Make a tree: clips of different lengths, one cut in half, one of stills, one no video."""
    (root / "ward" / "=2").mkdir(parents=True)
    for number in range(clips):
        write_clip(root / "ward" / f"clip{number}.mp4", frames + number)
    whole = write_clip(root / "ward" / "=2" / "-cut.mp4", 90)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (root / "text.mp4").write_bytes(b"no video\n" * 100)
    (root / "stills").mkdir()
    for number in range(3):
        image = np.random.default_rng(number).integers(20, 200, (96, 96)).astype(np.uint8)
        cv2.imwrite(str(root / "stills" / f"{number}.png"), image)
    return root


def start(root: Path, out: Path, model: Path, *flags: str) -> subprocess.Popen[str]:
    """Start the command over a tree."""
    words = ["archive", str(root), "--out", str(out), "--model", str(model), *flags]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def run(root: Path, out: Path, model: Path, *flags: str) -> tuple[int, str]:
    """Run the command to its end; return its status and all that it said."""
    with start(root, out, model, *flags) as process:
        try:
            said = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    return process.returncode, "".join(said)


def sessions(out: Path) -> list[Path]:
    """Return the session folders that are in their place."""
    return sorted((out / "sessions").glob("*"))


def until(true, process: subprocess.Popen[str] | None = None) -> None:
    """Wait until something is true, or fail when the time or the process is over."""
    ends_s = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < ends_s, "took too long"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.01)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the workers of a run, with their decoders."""
    return psutil.Process(process.pid).children(recursive=True)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the workers of a run."""
    children = psutil.Process(process.pid).children()
    return [child for child in children if "stream.archive.worker" in child.cmdline()]


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a run with SIGKILL and wait until nothing of it is left."""
    left = family(process)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(left, timeout=10)
    assert not alive, alive


def first_unlike(one: Path, other: Path) -> str | None:
    """Compare two archives: table and sessions, times aside; return the first difference."""
    if (one / "table.csv").read_bytes() != (other / "table.csv").read_bytes():
        return "table.csv"
    if (one / "table.html").read_bytes() != (other / "table.html").read_bytes():
        return "table.html"
    names = [folder.name for folder in sessions(one)]
    if names != [folder.name for folder in sessions(other)]:
        return "names of sessions"
    for name in names:
        left, right = one / "sessions" / name, other / "sessions" / name
        found = first_difference(left / JOURNAL, right / JOURNAL)
        if found or _seal(left) != _seal(right):
            return f"{name}: {found or 'manifest'}"
    return None


def _seal(folder: Path) -> object:
    """Return the manifest, wall time and digest of the journal (which holds times) left out."""
    manifest = read_manifest(folder)
    files = {path: digest for path, digest in manifest.files.items() if path != JOURNAL}
    return msgspec.structs.replace(manifest, created="", files=files)


def copy(root: Path, target: Path) -> Path:
    """Copy a tree with its times."""
    return Path(shutil.copytree(root, target, symlinks=True))
