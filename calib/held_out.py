"""Held-out frames for the acceptance gate: none of them calibrated the model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from calib.frames import FrameSet
from calib.gather import gather_frames
from calib.quantize import CALIBRATION_KEY, Calibration
from engines.errors import EngineError
from engines.graph_index import parse_graph
from engines.load import Model
from engines.pixels import Pixels
from engines.preprocess import to_model_input
from engines.spec import ModelSpec
from stream import console
from stream.sources.phantom import FINDINGS, PhantomScene, PhantomSpec, parse_phantom

FIRST_SEED = 7_000_000
"""Beyond the seeds of every part that `train.data.generated` draws."""
CLIPS = 50
FRAMES_PER_CLIP = 4


def held_out_frames(model: Model, path: Path, places: Sequence[str] = ()) -> FrameSet:
    """Return frames of clips, or of phantom clips where none are given, for judging an engine.

    Left out is every group (person, else clip) of which a frame calibrated the model, known by its
    name, below whatever folder, or by the digest of a frame that is not all of one colour.

    Parameters
    ----------
    path : of the model; the list of its calibration frames lies beside it
    places : as `calib.gather.gather_frames` takes them

    Raises
    ------
    EngineError
        If the list of calibration frames is absent or another one, or nothing is left.
    StreamError
        If the places cannot be read.
    """
    lines = _calibration_lines(model, path)
    frames = _read(places, model.spec) if places else phantom_frames(model.spec)
    digests, names = _columns(lines)
    seen, groups = _columns(frames.lines())
    drawn = (frames.inputs != frames.inputs[:, :1, :1]).any(axis=(1, 2, 3))
    used = {group for group in groups if any(_is_same(group, name) for name in names)}
    known = set(digests)
    used |= {groups[place] for place in np.flatnonzero(drawn) if seen[place] in known}
    fresh = [place for place, group in enumerate(groups) if group not in used]
    if not fresh:
        problem = f"all {len(frames)} frames are of groups that calibrated it"
        raise EngineError(path.name, problem, "give other clips with --frames")
    return frames.take(np.array(fresh, np.int64))


def frames_list(path: Path) -> Path:
    """Return where the list of a model's calibration frames lies."""
    return path.with_suffix(".frames.tsv")


def phantom_frames(spec: ModelSpec) -> FrameSet:
    """Return four frames of each of 50 generated clips that no model was trained on.

    A model of a phantom organ gets clips of that organ, with labels; any other model gets clips
    of all organs, without.
    """
    own = [organ for organ, findings in FINDINGS.items() if findings == spec.classes]
    organs = own or list(FINDINGS)
    clips = [_clip(organs[number % len(organs)], number) for number in range(CLIPS)]
    inputs, labels, times_s = [], [], []
    for clip in clips:
        scene = PhantomScene(clip)
        for index in _places(clip):
            image, mask = scene.frame(index)
            inputs.append(to_model_input(Pixels((image,)), spec.input_wh, spec.fit))
            seen = clip.finding if mask.any() else FINDINGS[clip.organ][0]
            labels.append(spec.classes.index(seen) if own else -1)
            times_s.append(index / clip.rate_hz)
    return FrameSet(
        inputs=np.stack(inputs),
        names=tuple(f"{clip.uri}#{index}" for clip in clips for index in _places(clip)),
        groups=tuple(clip.uri for clip in clips for _ in _places(clip)),
        times_s=np.array(times_s, np.float64),
        labels=np.array(labels, np.int64),
        origin=f"{CLIPS} generated phantom clips ({', '.join(organs)}), seeds {FIRST_SEED} to "
        f"{FIRST_SEED + CLIPS - 1}, in no training set; no real picture",
    )


def _columns(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return digest and group of each line of `FrameSet.lines`."""
    cells = [line.split("\t") for line in lines]
    return [cell[0] for cell in cells], [cell[2] for cell in cells]


def _is_same(group: str, other: str) -> bool:
    """Whether two names may be those of one group, seen from folders of which one is higher."""
    short, long = sorted((group, other), key=len)
    return short == long or (short != "" and long.endswith(f"/{short}"))


def _read(places: Sequence[str], spec: ModelSpec) -> FrameSet:
    with console.progress("held-out frames") as tick:
        return gather_frames(places, spec, tick)


def _calibration_lines(model: Model, path: Path) -> list[str]:
    """Return the lines of the frames that calibrated a model; none for a model that was not."""
    notes = {entry.key: entry.value for entry in parse_graph(model.data).metadata_props}
    if CALIBRATION_KEY not in notes:
        return []
    calibration = msgspec.json.decode(notes[CALIBRATION_KEY], type=Calibration)
    place = frames_list(path)
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        problem = f"cannot be read: {error.strerror}; without it nobody knows what is held out"
        raise EngineError(place.name, problem, f"put it beside {path.name}") from error
    if hashlib.sha256("\n".join(lines).encode()).hexdigest() != calibration.frames_digest:
        problem = f"is not the list of frames that calibrated {path.name}"
        raise EngineError(place.name, problem, "use the one that `stream calibrate` wrote")
    return lines


def _clip(organ: str, number: int) -> PhantomSpec:
    """Return the clip of a seed; findings take turns."""
    findings = FINDINGS[organ]
    finding = findings[number // len(FINDINGS) % len(findings)]
    return parse_phantom(f"phantom:{organ}?seed={FIRST_SEED + number}&finding={finding}")


def _places(clip: PhantomSpec) -> list[int]:
    inner = np.linspace(0, clip.frame_count - 1, FRAMES_PER_CLIP + 2)[1:-1]
    return [int(place) for place in inner.round()]
