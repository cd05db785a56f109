"""Trees of many clips that are cheap to make: one encoded clip, copied with a number of its own."""

from __future__ import annotations

from pathlib import Path

from stream.sources.encode import write_video
from stream.sources.open import open_source

TINY = "phantom:kidney?seed=7&seconds=0.4"
PER_FOLDER = 100


def encode_tiny(path: Path) -> Path:
    """Write a phantom clip of ten frames."""
    with open_source(TINY, session="tiny") as source:
        write_video(path, (frame.image for frame in source), source.info.rate_hz or 25.0)
    return path


def copy_clip(clip: Path, root: Path, count: int) -> Path:
    """Copy an MP4 file so many times, each with another digest; return the folder.

    A box of type ``free`` (ISO/IEC 14496-12, 8.1.2), which players skip, ends each copy; it holds
    the number.
    """
    data = clip.read_bytes()
    for number in range(count):
        folder = root / f"{number // PER_FOLDER:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        box = (16).to_bytes(4) + b"free" + number.to_bytes(8)
        (folder / f"clip{number:04d}.mp4").write_bytes(data + box)
    return root
