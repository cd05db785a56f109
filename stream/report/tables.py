"""The report for programs: one CSV row per frame, and everything else as JSON."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping

import msgspec

from stream.report.content import KeyFrame, ReportContent

SCHEMA = 1
_DIGITS = 6


def encode_csv(content: ReportContent) -> bytes:
    r"""Write one row per frame: seq, time_s, state, label, prob_<class>..., smoothed_<class>...

    Lines end with ``\n``; a cell is empty where the source had no clock or the model no answer.
    """
    line, text = content.timeline, io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [f"{kind}_{name}" for kind in ("prob", "smoothed") for name in content.classes]
    writer.writerow(["seq", "time_s", "state", "label", *heads])
    for index, seq in enumerate(line.seq):
        time = _digits(line.time_s[index]) if line.has_time else ""
        numbers = [_digits(p) for row in (line.probs, line.smoothed) for p in row[index]]
        writer.writerow([int(seq), time, line.state[index], line.label[index], *numbers])
    return _utf8(text.getvalue()).encode()


def encode_json(content: ReportContent) -> bytes:
    """Write verdict, key frames, counts, problems and provenance as indented JSON."""
    report = {
        "schema": SCHEMA,
        "clip": content.clip_name,
        "partial": content.partial,
        "working_copy": content.working_copy,
        "engine_warning": content.engine_warning,
        "problems": content.problems,
        "verdict": {
            "label": content.verdict_label,
            "share": _number(content.verdict_share),
            "text": content.verdict_text,
        },
        "classes": content.classes,
        "positive_class": content.positive_class,
        "threshold": _number(content.threshold),
        "key_frames": [_describe(key, content.classes) for key in content.key_frames],
        "ledger": content.ledger,
        "frames_by_state": dict(Counter(content.timeline.state)),
        "frames_by_label": dict(Counter(filter(None, content.timeline.label))),
        "pixel_spacing_mm": content.pixel_spacing_mm,
        "source": content.source,
        "provenance": content.provenance,
        "disclaimer": content.disclaimer,
    }
    encoded = msgspec.json.encode(_clean(report))
    return msgspec.json.format(encoded, indent=2) + b"\n"


def _describe(key: KeyFrame, classes: tuple[str, ...]) -> dict[str, object]:
    return {
        "rank": int(key.rank),
        "seq": int(key.seq),
        "time_s": None if key.time_s is None else _number(key.time_s),
        "score": _number(key.score),
        "score_parts": {name: _number(part) for name, part in key.score_parts.items()},
        "reason": key.reason,
        "probs": {name: _number(p) for name, p in zip(classes, key.probs, strict=True)},
        "shown_class": key.shown_class,
    }


def _digits(value: float) -> str:
    return f"{value:.{_DIGITS}f}" if math.isfinite(value) else ""


def _number(value: float) -> float | None:
    return round(float(value), _DIGITS) if math.isfinite(value) else None


def _utf8(text: str) -> str:
    """Escape the undecodable bytes of a file name, which UTF-8 cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def _clean(value: object) -> object:
    """Apply `_utf8` to every text of nested mappings and lists."""
    if isinstance(value, str):
        return _utf8(value)
    if isinstance(value, Mapping):
        return {_utf8(str(name)): _clean(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(entry) for entry in value]
    return value
