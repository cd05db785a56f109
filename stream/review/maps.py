"""Class maps of every frame: from the journal for key frames, else from the model asked again."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.base import Engine
from engines.cache import open_cache
from engines.choose import Wanted, choose_engine
from engines.errors import EngineError
from engines.load import load_model
from engines.preprocess import cam_to_image, place, to_model_input
from engines.probe import PROBS_LIMIT
from engines.spec import ModelSpec
from stream.report.files import write_whole
from stream.report.overlay import draw_overlay
from stream.review.clip import KeyPicture, ReviewClip
from stream.review.pictures import read_pictures
from stream.session.content import decode_png
from stream.sources.proxy import film_size, fit_box

MAPS = ".maps.npz"
_DRAWN_PX = 320
Tick = Callable[[int], None]
"""Called with the number of frames done; may raise to stop."""


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """The positive class's map of one frame.

    Parameters
    ----------
    cam : shape (h, w), float32, as the model gave it
    shape_hw : size of the picture
    """

    cam: NDArray[np.float32]
    shape_hw: tuple[int, int]


def key_maps(clip: ReviewClip) -> dict[int, Map]:
    """Return the maps that the journal holds, by place in the clip."""
    index = clip.index
    positive = clip.spec.positive_index
    return {index[key.place]: _key_map(key, positive) for key in clip.keys if key.place in index}


def find_maps(clip: ReviewClip) -> dict[int, Map] | None:
    """Return the maps of all frames if they were made before for this journal."""
    try:
        with np.load(clip.review_folder / MAPS, allow_pickle=False) as held:
            cams, shapes, places = held["cams"], held["shapes"], held["places"]
            binding = str(held["journal"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    sound = (
        binding == clip.journal
        and cams.dtype == np.float32
        and cams.ndim == 3
        and shapes.shape == (len(cams), 2)
        and places.shape == (len(cams),)
    )
    if not sound:
        return None
    return {
        int(number): Map(cam, (int(shape[0]), int(shape[1])))
        for number, cam, shape in zip(places, cams, shapes, strict=True)
    }


def make_maps(clip: ReviewClip, cache: Path | None, into: dict[int, Map], tick: Tick) -> None:
    """Ask the model for the map of every frame that it answered for, and keep them beside the film.

    Parameters
    ----------
    cache : folder of compiled engines, the user's own when None
    into : gets each map as it is made; what it has already stays

    Raises
    ------
    EngineError
        If the model is not at hand, is another, or answers otherwise than it did.
    SourceError, StorageError
        As `read_pictures`, or if the file cannot be written.
    """
    engine = _same_engine(clip, cache)
    try:
        for index, found in _ask(clip, engine, tick):
            into.setdefault(index, found)
    finally:
        engine.close()
    _write(clip, into)


def encode_map(found: Map, spec: ModelSpec, film_wh: tuple[int, int] | None) -> bytes:
    """Draw a map as a PNG with transparency, to lie over the whole film frame.

    Blending it over a picture gives what `draw_overlay` draws.

    Parameters
    ----------
    film_wh : size of the film, or None where the picture is shown by itself
    """
    film = film_wh or film_size(found.shape_hw)
    scale = min(1.0, _DRAWN_PX / film[0])
    left, top, right, bottom = (round(side * scale) for side in fit_box(found.shape_hw, film))
    shape_hw = max(1, bottom - top), max(1, right - left)
    on_image = cam_to_image(found.cam, shape_hw, place(shape_hw, spec.input_wh, spec.fit))
    level = np.zeros((max(1, round(film[1] * scale)), max(1, round(film[0] * scale))), np.float32)
    part = level[top : top + shape_hw[0], left : left + shape_hw[1]]
    part[:] = on_image[: part.shape[0], : part.shape[1]] / spec.cam_scale[spec.positive_index]
    return cv2.imencode(".png", _with_alpha(level))[1].tobytes()


def _with_alpha(level: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return (h, w, 4) blue, green, red, alpha: over black and white it looks as drawn there."""
    on_black = draw_overlay(np.zeros(level.shape, np.uint8), level).astype(np.float32)
    on_white = draw_overlay(np.full(level.shape, 255, np.uint8), level).astype(np.float32)
    alpha = 255 - (on_white - on_black).mean(axis=2)
    colour = on_black * (255 / np.maximum(alpha, 1))[..., None]
    layers = [colour[..., 2], colour[..., 1], colour[..., 0], alpha]
    drawn: NDArray[np.uint8] = np.rint(np.clip(np.dstack(layers), 0, 255)).astype(np.uint8)
    return drawn


def _key_map(key: KeyPicture, positive: int) -> Map:
    height, width = decode_png(key.image_png).shape[:2]
    return Map(np.frombuffer(key.cam, "<f4").reshape(key.cam_shape)[positive], (height, width))


def _same_engine(clip: ReviewClip, cache: Path | None) -> Engine:
    used = clip.manifest.model
    model = load_model(Path(used.path))
    if model.digest != used.digest:
        raise EngineError(model.name, "is not the model that was used: its digest is another")
    wanted = Wanted(
        used.engine.name,
        used.engine.precision,
        force=used.engine.standing == "forced",
        made_from=used.engine.model_digest,
    )
    return choose_engine(model, open_cache(cache), wanted, lambda text: None).engine


def _ask(clip: ReviewClip, engine: Engine, tick: Tick) -> Iterator[tuple[int, Map]]:
    spec = engine.model.spec
    for index, pixels in read_pictures(clip):
        tick(index + 1)
        then = clip.probs[index]
        if then is None:
            continue
        output = engine.submit(to_model_input(pixels, spec.input_wh, spec.fit)[None]).result()
        output.check(spec)
        if np.abs(output.probs[0] - np.array(then, np.float32)).max() > PROBS_LIMIT:
            problem = f"answers otherwise than then for frame {index}"
            raise EngineError(str(engine.info), problem, "no map can be shown for its answers")
        yield index, Map(output.cam[0, spec.positive_index].copy(), pixels.shape_hw)


def _write(clip: ReviewClip, maps: dict[int, Map]) -> None:
    if not maps:
        return
    data = BytesIO()
    np.savez(
        data,
        cams=np.stack([found.cam for found in maps.values()]),
        shapes=np.array([found.shape_hw for found in maps.values()], np.int32),
        places=np.array(list(maps), np.int64),
        journal=np.array(clip.journal),
    )
    write_whole(clip.review_folder / MAPS, data.getvalue())
