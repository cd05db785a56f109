"""Lets out of a report what may leave the machine, or refuses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engines.pixels import Pixels
from stream.report.content import KeyFrame, ReportContent
from stream.report.privacy.names import without_names
from stream.report.privacy.policy import ExportPolicy, ExportRefused
from stream.report.privacy.text import find_text
from stream.sector.find import find_sector
from stream.sector.outline import Sector

PROVENANCE = "Privacy"
_NO_SECTOR = 'if it shows ultrasound alone give --no-mask, else --accept-text "WHO: WHY"'


def protect(content: ReportContent, policy: ExportPolicy) -> ReportContent:
    """Return what may leave of a report's content.

    One sector is found from all key frames of a size: what lies outside it is blackened in every
    one, and its saliency is 0. Then text is looked for in what is left. Where no picture is to go
    out, every one comes back black, unsearched.

    Parameters
    ----------
    content : as read from a session
    policy : what is asked

    Returns
    -------
    The content with ``provenance["Privacy"]``: one sentence about what was done

    Raises
    ------
    ExportRefused
        If a frame has text, cannot be masked, or may have burned-in annotation and is not to be
        masked (D13), and nobody has accepted it.
    """
    if policy.synthetic:
        return _noted(content, "Nothing to hide: the pictures are synthetic.")
    if policy.deidentify:
        content = without_names(content)
    if not policy.pictures:
        blank = tuple(_cut(key, np.zeros(key.image.shape[:2], bool)) for key in content.key_frames)
        return _noted(replace(content, key_frames=blank), _sentence(policy, ()))
    keys, doubts = content.key_frames, list[_Doubt]()
    if policy.mask and not policy.masked_before:
        keys, doubts = _masked(keys)
    elif not policy.masked_before and policy.burned_in != "NO" and _may_name(content):
        said = policy.burned_in or "absent"
        doubts = [_Doubt(key, f"not masked, and Burned In Annotation is {said}") for key in keys]
    _refuse(doubts, policy)
    doubts += _with_text(keys)
    _refuse(doubts, policy)
    return _noted(replace(content, key_frames=keys), _sentence(policy, doubts))


@dataclass(frozen=True, slots=True, eq=False)
class _Doubt:
    """Why a frame should not leave."""

    key: KeyFrame
    reason: str
    remedy: str = 'look at it, then give --accept-text "WHO: WHY"'


def _may_name(content: ReportContent) -> bool:
    """Tell whether the source is of a kind that writes names into its pictures."""
    return content.live or content.source.get("Kind") == "dicom"


def _refuse(doubts: Sequence[_Doubt], policy: ExportPolicy) -> None:
    """Raise for the first doubt that nobody has accepted."""
    if not doubts or policy.accept_text:
        return
    first, *more = doubts
    also = f" (and {len(more)} more frames)" if more else ""
    raise ExportRefused(
        f"frame {first.key.seq}",
        f"{first.reason}{also}: no report is written",
        first.remedy,
        fault="D13",
    )


def _masked(keys: Sequence[KeyFrame]) -> tuple[tuple[KeyFrame, ...], list[_Doubt]]:
    """Blacken what is outside the sector; a frame without one stays as it is and is in doubt."""
    sectors: dict[tuple[int, ...], Sector | None] = {}
    for shape in dict.fromkeys(key.image.shape for key in keys):
        pictures = [Pixels((key.image,)) for key in keys if key.image.shape == shape]
        sectors[shape] = find_sector(pictures)
    masked, doubts = [], []
    for key in keys:
        sector = sectors[key.image.shape]
        if sector is None:
            doubts.append(_Doubt(key, "no sector found, so nothing can be masked", _NO_SECTOR))
        masked.append(_cut(key, sector.mask()) if sector else key)
    return tuple(masked), doubts


def _cut(key: KeyFrame, inside: NDArray[np.bool_]) -> KeyFrame:
    image = np.where(inside if key.image.ndim == 2 else inside[..., None], key.image, np.uint8(0))
    explained = None if key.explained is None else np.where(inside, key.explained, np.float32(0))
    saliency = np.where(inside, key.saliency, np.float32(0))
    return replace(key, image=image, saliency=saliency, explained=explained)


def _with_text(keys: Sequence[KeyFrame]) -> list[_Doubt]:
    doubts = []
    for key in keys:
        if box := find_text(key.image):
            left, top, right, bottom = box
            place = f"text at column {left} to {right}, row {top} to {bottom}"
            doubts.append(_Doubt(key, place))
    return doubts


def _sentence(policy: ExportPolicy, doubts: Sequence[_Doubt]) -> str:
    if not policy.pictures:
        done = "No picture was exported with this"
    elif policy.masked_before:
        done = "Pictures were cut to their sector at capture"
    elif policy.mask:
        done = "Pictures are blackened outside their sector"
    else:
        done = "Pictures are not masked, as asked"
    if policy.deidentify:
        done += ", the clip's name is replaced"
    if not policy.pictures:
        return f"{done}."
    if not doubts:
        return f"{done}; no text was found in them."
    found = "; ".join(f"frame {doubt.key.seq}: {doubt.reason}" for doubt in doubts)
    return f"{done}; accepted by {policy.accept_text}: {found}."


def _noted(content: ReportContent, sentence: str) -> ReportContent:
    provenance = {**content.provenance, PROVENANCE: sentence}
    return replace(content, provenance=provenance, working_copy=False)
