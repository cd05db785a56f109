"""Reads a session folder back as the content of its report."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.pixels import Box
from engines.preprocess import cam_to_image, place
from engines.spec import ModelSpec
from stream.errors import StorageError
from stream.report import wording
from stream.report.content import KeyFrame, ReportContent, Timeline
from stream.sector.outline import Corner, Sector
from stream.session.journal import open_reading
from stream.session.manifest import JOURNAL, Manifest

DISCLAIMER = (
    "Not a medical device. For research, teaching and engineering only; "
    "not for diagnosis, treatment or any clinical decision."
)


WORKING_COPY = (
    "Working copy: neither masked nor searched for text; `stream report` makes the one to hand on."
)
EXPLAINED_SIGMA_PX = 2.0
"""Width of the blur over integrated gradients, in pixels of the model input: single pixels jump."""
EXPLAINED_QUANTILE = 0.995
"""Its full scale: a few pixels of a frame that changes class would leave the others dark."""

_STANDING = {
    "accepted": "accepted by the gate against the FP32 reference",
    "default": "the default FP32 engine, checked against ONNX Runtime",
    "forced": "FORCED by the user, not accepted by the gate",
}


_DAMAGE = (
    *(ValueError, TypeError, LookupError, OverflowError, AttributeError),
    *(msgspec.MsgspecError, cv2.error),
)


def read_content(folder: Path, manifest: Manifest) -> ReportContent:
    """Gather what the report of a session shows.

    Parameters
    ----------
    folder : session folder with a journal
    manifest : of that session; its `files` are not read

    Raises
    ------
    StorageError
        If the journal cannot be read, or holds what a journal of ours cannot hold.
    """
    spec = manifest.model.spec
    try:
        with open_reading(folder / JOURNAL) as db:
            timeline = _read_timeline(db, len(spec.classes))
            keys = _read_key_frames(db, spec, timeline.has_time, manifest.live is not None)
            key_frames = _scale_explained(keys)
    except _DAMAGE as error:
        raise StorageError(str(folder / JOURNAL), f"damaged: {error}", "run it again") from error
    return ReportContent(
        clip_name=manifest.input.info.name,
        source=_source_facts(manifest),
        classes=spec.classes,
        positive_class=spec.positive_class,
        threshold=spec.threshold,
        verdict_label=manifest.verdict.label,
        verdict_text=manifest.verdict.text,
        verdict_share=manifest.verdict.share,
        timeline=timeline,
        key_frames=key_frames,
        ledger=manifest.ledger,
        engine_warning=_engine_warning(manifest),
        problems=manifest.problems,
        partial=manifest.partial or not manifest.complete,
        provenance=_provenance(manifest),
        disclaimer=DISCLAIMER,
        pixel_spacing_mm=_spacing(manifest),
        live=manifest.live is not None,
        working_copy=is_working_copy(manifest),
    )


def was_masked(folder: Path, manifest: Manifest) -> bool:
    """Tell whether capture cut every frame of a live session to its sector, by the journal.

    Raises
    ------
    StorageError
        If the journal cannot be read.
    """
    if manifest.live is None or not manifest.live.masked:
        return False
    query = (
        "SELECT count(*) FROM (SELECT epoch FROM frames UNION SELECT epoch FROM ranked)"
        " LEFT JOIN epochs USING (epoch) WHERE outline IS NULL OR json_array_length(outline) < 3"
    )
    try:
        with open_reading(folder / JOURNAL) as db:
            return bool(db.execute(query).fetchone()[0] == 0)
    except _DAMAGE as error:
        raise StorageError(str(folder / JOURNAL), f"damaged: {error}", "run it again") from error


def is_working_copy(manifest: Manifest) -> bool:
    """Tell whether the pictures may show somebody; those of a phantom do not."""
    return not manifest.input.uri.startswith("phantom:")


def _spacing(manifest: Manifest) -> tuple[float, float] | None:
    """Return the pixel spacing, or None where a foreign manifest holds one that cannot be."""
    spacing = manifest.input.info.pixel_spacing_mm
    return spacing if spacing and all(1e-4 < mm < 100 for mm in spacing) else None


def _engine_warning(manifest: Manifest) -> str:
    engine = manifest.model.engine
    if engine.standing != "forced":
        return ""
    why = "; ".join(engine.missed) or "the gate has not seen it"
    return f"Forced engine {engine.name} {engine.precision}, not accepted by the gate: {why}"


def _read_timeline(db: sqlite3.Connection, classes: int) -> Timeline:
    rows = db.execute("SELECT * FROM frames ORDER BY epoch, seq").fetchall()
    has_time = any(row["pts_ns"] is not None for row in rows)
    seq = np.array([row["seq"] for row in rows], np.int64)
    time_s = np.array([row["time_ns"] for row in rows], np.float64) * 1e-9
    return Timeline(
        seq=seq,
        time_s=time_s if has_time else seq.astype(np.float64),
        has_time=has_time,
        probs=_numbers([row["probs"] for row in rows], classes),
        smoothed=_numbers([row["smoothed"] for row in rows], classes),
        label=tuple(str(row["label"]) for row in rows),
        state=tuple(str(row["state"]) for row in rows),
    )


def _numbers(texts: list[str | None], classes: int) -> NDArray[np.float32]:
    nothing = [float("nan")] * classes
    rows = [msgspec.json.decode(text, type=list[float]) if text else nothing for text in texts]
    return np.array(rows, np.float32).reshape(len(rows), classes)


def _read_key_frames(
    db: sqlite3.Connection, spec: ModelSpec, has_time: bool, live: bool
) -> list[KeyFrame]:
    query = (
        "SELECT ranked.*, frames.probs{} FROM ranked JOIN frames USING (epoch, seq){} ORDER BY 1"
    )
    if not live:
        return [_key_frame(row, spec, has_time) for row in db.execute(query.format("", ""))]
    epochs = (", epochs.outline, epochs.box_xyxy", " LEFT JOIN epochs USING (epoch)")
    rows = db.execute(query.format(*epochs))
    return [_within_sector(_key_frame(row, spec, has_time), row) for row in rows]


def _within_sector(key: KeyFrame, row: sqlite3.Row) -> KeyFrame:
    """Keep of the maps what lies in the sector that capture cut the frame to, if it did."""
    outline = msgspec.json.decode(row["outline"] or "[]", type=tuple[Corner, ...])
    if not outline:
        return key
    left, top, right, bottom = msgspec.json.decode(row["box_xyxy"], type=Box)
    size_wh = (right - left, bottom - top)
    if size_wh != key.image.shape[1::-1]:
        return key
    moved = tuple((x - left, y - top) for x, y in outline)
    inside = Sector((0, 0, *size_wh), moved, size_wh).mask()
    explained = None if key.explained is None else np.where(inside, key.explained, np.float32(0))
    return replace(key, saliency=np.where(inside, key.saliency, np.float32(0)), explained=explained)


def _key_frame(row: sqlite3.Row, spec: ModelSpec, has_time: bool) -> KeyFrame:
    image = decode_png(row["image_png"])
    cam = np.frombuffer(row["cam"], "<f4").reshape(
        msgspec.json.decode(row["cam_shape"], type=tuple[int, int, int])
    )
    index = spec.positive_index
    shape_hw = (image.shape[0], image.shape[1])
    on_image = cam_to_image(cam[index], shape_hw, place(shape_hw, spec.input_wh, spec.fit))
    parts = msgspec.json.decode(row["score_parts"], type=dict[str, float])
    return KeyFrame(
        rank=int(row["rank"]),
        seq=int(row["seq"]),
        time_s=row["time_ns"] * 1e-9 if has_time else None,
        score=float(row["score"]),
        score_parts=parts,
        reason=_reason(parts, row["displaced"], spec),
        probs=_numbers([row["probs"]], len(spec.classes))[0],
        shown_class=spec.positive_class,
        image=image,
        saliency=np.clip(on_image / spec.cam_scale[index], 0.0, 1.0).astype(np.float32),
        explained=_explained_on_image(row["explained"], shape_hw, spec),
    )


def _explained_on_image(
    data: bytes | None, shape_hw: tuple[int, int], spec: ModelSpec
) -> NDArray[np.float32] | None:
    if data is None:
        return None
    width, height = spec.input_wh
    added = np.abs(np.frombuffer(data, "<f4").reshape(height, width))
    soft = cv2.GaussianBlur(added, (0, 0), EXPLAINED_SIGMA_PX)
    return cam_to_image(soft, shape_hw, place(shape_hw, spec.input_wh, spec.fit))


def _scale_explained(keys: list[KeyFrame]) -> tuple[KeyFrame, ...]:
    """Bring the integrated gradients of all key frames onto one scale from 0 to 1."""
    maps = [key.explained.ravel() for key in keys if key.explained is not None]
    if not maps:
        return tuple(keys)
    top = max(float(np.quantile(np.concatenate(maps), EXPLAINED_QUANTILE)), 1e-12)
    return tuple(
        replace(key, explained=np.minimum(key.explained / top, 1.0).astype(np.float32))
        if key.explained is not None
        else key
        for key in keys
    )


def _reason(parts: dict[str, float], displaced: str | None, spec: ModelSpec) -> str:
    probability = parts["probability"]
    side = "above" if probability >= spec.threshold else "below"
    text = f"{spec.positive_class} {probability:.2f}, {side} the threshold {spec.threshold:.2f}"
    if "strength" in parts:
        text += f", map at {wording.percent(parts['strength'])} of full scale"
    if displaced:
        text += f"; replaced frame {displaced.partition(':')[2]} among the kept frames"
    return text + "."


def decode_png(data: bytes) -> NDArray[np.uint8]:
    """Return a picture of the journal: (H, W) grey or (H, W, 3) RGB, uint8.

    Raises
    ------
    ValueError
        If it is none that we encoded.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None or image.dtype != np.uint8 or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError("a key frame is not a grey or RGB picture of 8 bits")
    rgb = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return rgb.astype(np.uint8, copy=False)


def _source_facts(manifest: Manifest) -> dict[str, str]:
    source = manifest.input.info
    width, height = source.size_wh
    rate = f"{source.rate_hz:.2f} frames/s" if source.rate_hz else "no clock"
    spacing = _spacing(manifest)
    known = (
        {"Pixel spacing": "{:.4g} x {:.4g} mm, rows x columns".format(*spacing)} if spacing else {}
    )
    return {
        "File": source.name,
        "Kind": source.kind,
        "Picture": f"{width} x {height} px, {rate}",
        "Format": source.detail,
        **known,
        "SHA-256": source.sha256 or "none: generated",
    }


def _provenance(manifest: Manifest) -> dict[str, str]:
    spec, model, engine = manifest.model.spec, manifest.model, manifest.model.engine
    settings = msgspec.to_builtins(manifest.config)
    full_scale = spec.cam_scale[spec.positive_index]
    privacy = {"Privacy": WORKING_COPY} if is_working_copy(manifest) else {}
    return privacy | {
        "Model": f"{spec.name}, classes {', '.join(spec.classes)}",
        "Model SHA-256": model.digest,
        "Engine made from SHA-256": engine.model_digest,
        "Model measured on": spec.metrics_split,
        "Intended use": spec.intended_use,
        "Licence of the weights": spec.licence,
        "Threshold": f"{spec.threshold:.3f}: {spec.threshold_rule}",
        "Temperature": f"{spec.temperature:.3f}",
        "Saliency": f"{spec.cam_kind} of {spec.positive_class}, full scale {full_scale:.3g}",
        "Engine": f"{engine.runtime}: {_STANDING[engine.standing]}",
        "Settings": ", ".join(f"{key} {value}" for key, value in settings.items()),
        "Versions": ", ".join(f"{key} {value}" for key, value in manifest.versions.items()),
    }
