"""From a sample to model input, by the very functions that the run time uses."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engines.pixels import Pixels
from engines.preprocess import to_model_input
from engines.spec import Fit
from stream.errors import SourceError, StorageError
from stream.sources.discover import PHANTOM
from stream.sources.image_pixels import decode_image, read_head
from stream.sources.open import open_source
from stream.sources.regular import open_regular
from train.data.samples import Sample, digest_of, list_line

RECIPE = 1
"""Part of each cache's name; to be raised when decoding or preprocessing changes."""


def read_still(path: Path) -> Pixels:
    """Decode one still as the sources do.

    Raises
    ------
    SourceError
        If it is not a picture or its size is out of range.
    """
    with open_regular(str(path)) as file:
        data = file.read()
    pixels, _ = decode_image(data, read_head(data, path.name), path.name)
    return pixels


def read_samples(samples: Sequence[Sample]) -> Iterator[tuple[int, Pixels]]:
    """Yield the place in `samples` and the picture of each; every clip is decoded once.

    Raises
    ------
    SourceError
        If a file cannot be decoded or a clip lacks a frame.
    """
    clips: dict[str, dict[int, list[int]]] = {}
    for place, sample in enumerate(samples):
        if sample.is_still:
            yield place, read_still(Path(sample.uri))
        else:
            clips.setdefault(sample.uri, defaultdict(list))[sample.index].append(place)
    for uri, wanted in clips.items():
        yield from _read_clip(uri, wanted)


def load_inputs(
    samples: Sequence[Sample], input_wh: tuple[int, int], fit: Fit, cache: Path | None = None
) -> NDArray[np.uint8]:
    """Return the model inputs of samples, shape (N, h, w, 3), uint8 RGB; 150 kB each at 224 px.

    Parameters
    ----------
    cache : folder of .npy files that keep the inputs; the result is then mapped from one, read
        only. A file that is not what it should be is made again.

    Raises
    ------
    SourceError
        If a file cannot be decoded.
    StorageError
        If the cache cannot be written.
    """
    shape = (len(samples), input_wh[1], input_wh[0], 3)
    if cache is None:
        inputs = np.empty(shape, np.uint8)
        for place, pixels in read_samples(samples):
            inputs[place] = to_model_input(pixels, input_wh, fit)
        return inputs
    path = cache / f"{_key(samples, input_wh, fit)}.npy"
    kept = _open(path, shape)
    if kept is None:
        _write(path, samples, shape, fit)
        kept = _open(path, shape)
    if kept is None:
        raise StorageError(str(path), "cannot be read back", "check the disk", fault="F37")
    return kept


def _read_clip(uri: str, wanted: dict[int, list[int]]) -> Iterator[tuple[int, Pixels]]:
    left = set(wanted)
    with open_source(uri, session="load") as source:
        for index, frame in enumerate(source):
            if index in left and frame.damage is None:
                left.discard(index)
                yield from ((place, frame.pixels) for place in wanted[index])
            if not left:
                return
    problem = f"frames {sorted(left)} are missing or damaged"
    raise SourceError(Path(uri).name, problem, "read the list again", fault="V06")


def _key(samples: Sequence[Sample], input_wh: tuple[int, int], fit: Fit) -> str:
    """Return a digest of the samples in their order, the clips' bytes, the size and the rule."""
    clips = {s.uri for s in samples if not s.is_still and not s.uri.startswith(PHANTOM)}
    lines = [
        f"{RECIPE}\t{input_wh}\t{fit}",
        *map(list_line, samples),
        *map(digest_of, sorted(clips)),
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _open(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Map a cache, or return None when it is absent, torn or of another shape."""
    try:
        kept = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == shape and kept.dtype == np.uint8 else None


def _write(path: Path, samples: Sequence[Sample], shape: tuple[int, ...], fit: Fit) -> None:
    """Decode all samples into a file beside `path`, then give it its name (F37)."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    head = {"descr": "|u1", "fortran_order": False, "shape": shape}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            npy.write_array_header_1_0(file, head)
            start, size = file.tell(), int(np.prod(shape[1:]))
            os.posix_fallocate(file.fileno(), 0, start + size * shape[0])
            for place, pixels in read_samples(samples):
                file.seek(start + place * size)
                file.write(to_model_input(pixels, (shape[2], shape[1]), fit).tobytes())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        remedy = "free space or choose another folder"
        raise StorageError(str(path), problem, remedy, fault="F37") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
