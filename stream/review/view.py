"""What the page is told about a clip, once."""

from __future__ import annotations

import msgspec

from stream.review.clip import ReviewClip
from stream.review.film import PIECE
from stream.review.records import Place
from stream.session.content import DISCLAIMER


class KeyMark(msgspec.Struct, frozen=True):
    """A key frame: its rank and where it stands in the clip."""

    rank: int
    index: int


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the model said; a blind reader gets none of it.

    Parameters
    ----------
    smoothed : for each class one number per frame, or null where there is none
    labels : smoothed label of each frame
    states : "ok", or why a frame was not believed
    verdict : of the clip, its label and a sentence
    warning : why the engine's answers are in doubt, or empty
    """

    positive: int
    threshold: float
    smoothed: list[list[float | None]]
    labels: tuple[str, ...]
    states: tuple[str, ...]
    keys: list[KeyMark]
    verdict: tuple[str, str]
    warning: str


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A clip as the page has it.

    Parameters
    ----------
    places : epoch and seq of each frame
    times : seconds of each frame in the clip, or None without a clock
    film_ms : time of each frame in the film, None for one that has no picture
    piece : frames of each piece of the film
    """

    name: str
    reader: str
    classes: tuple[str, ...]
    places: tuple[Place, ...]
    times: list[float] | None
    film_ms: list[int | None]
    piece: int
    problems: tuple[str, ...]
    disclaimer: str
    said: Said | None


def build_view(clip: ReviewClip, filmed: list[int], reader: str, blind: bool) -> View:
    """Gather what the page shows.

    Parameters
    ----------
    filmed : frames that have a picture
    blind : leave out everything that the model said
    """
    shown = set(filmed)
    return View(
        name=clip.manifest.input.info.name,
        reader=reader,
        classes=clip.spec.classes,
        places=clip.places,
        times=[time_ns * 1e-9 for time_ns in clip.time_ns] if clip.has_time else None,
        film_ms=[ms if i in shown else None for i, ms in enumerate(clip.film_ms())],
        piece=PIECE,
        problems=_problems(clip, blind),
        disclaimer=DISCLAIMER,
        said=None if blind else _said(clip),
    )


def _problems(clip: ReviewClip, blind: bool) -> tuple[str, ...]:
    """Return the problems of the input; those of the engine only to a reader who may know."""
    found = clip.manifest.problems
    return tuple(text for text in found if not (blind and text.startswith("[F0")))


def _said(clip: ReviewClip) -> Said:
    spec, verdict, index = clip.spec, clip.manifest.verdict, clip.index
    forced = clip.manifest.model.engine.standing == "forced"
    return Said(
        positive=spec.positive_index,
        threshold=spec.threshold,
        smoothed=[
            [round(probs[number], 4) if probs else None for probs in clip.smoothed]
            for number in range(len(spec.classes))
        ],
        labels=clip.labels,
        states=clip.states,
        keys=[KeyMark(key.rank, index[key.place]) for key in clip.keys if key.place in index],
        verdict=(verdict.label, verdict.text),
        warning="The engine was forced, not accepted by the gate." if forced else "",
    )
