"""The report as one HTML page that needs no network and no other file.

Its script only helps with reading; without it the page shows the same.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cache

import cv2
import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from engines.pixels import resize_plane
from stream.png import encode_png
from stream.report import wording
from stream.report.content import KeyFrame, ReportContent
from stream.report.encode import encode_jpeg
from stream.report.overlay import draw_colour_bar, draw_overlay
from stream.report.scale_bar import choose_bar
from stream.report.scale_svg import draw_scale
from stream.report.timeline import build_legend
from stream.report.timeline_svg import draw_timeline

_MAX_SIDE_PX = 900
_IMAGE_BUDGET = 5_400_000
_QUALITIES = (92, 85, 75, 60, 45)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A key frame with its pictures as data URIs, the last one "" when absent; size in pixels.

    The scale bar is drawn over each; it is empty where the spacing is not known.
    """

    key: KeyFrame
    original: str
    overlay: str
    explained: str
    size_wh: tuple[int, int]
    scale: Markup


def encode_html(content: ReportContent) -> bytes:
    """Render the page; the same content gives the same bytes.

    Pictures are scaled down to 900 px and share a budget of 5.4 MB (7.2 MB as base64), so that
    the page stays below 8 MB for any five frames.
    """
    environment = _environment()
    style, script = (environment.get_template(f"report.{kind}").render() for kind in ("css", "js"))
    pictures = sum(3 if key.explained is not None else 2 for key in content.key_frames)
    budget = _IMAGE_BUDGET // max(2, pictures)
    balance, balances = wording.balance_words(content.ledger)
    page = environment.get_template("report.html").render(
        content=content,
        style_digest=_digest(style),
        script_digest=_digest(script),
        legend=build_legend(content),
        timeline=draw_timeline(content),
        timeline_words=wording.timeline_words(content),
        pairs=[_build_pair(content, key, budget) for key in content.key_frames],
        colour_bar=_data_uri("image/png", encode_png(draw_colour_bar((256, 12)))),
        balance=balance,
        balances=balances,
        states=Counter(content.timeline.state),
        labels=Counter(label or "no label" for label in content.timeline.label),
    )
    return page.encode()


@cache
def _environment() -> jinja2.Environment:
    """Return what the templates are filled in with; compiling them takes 50 ms."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stream.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: wording.printable(value) if type(value) is str else value,
    )
    environment.filters.update(place=wording.place_words, state=wording.state_words)
    environment.globals["wording"] = wording
    return environment


def _digest(text: str) -> str:
    """Return the digest as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _build_pair(content: ReportContent, key: KeyFrame, budget: int) -> _Pair:
    height, width = key.image.shape[:2]
    scale = min(1.0, _MAX_SIDE_PX / max(height, width))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = resize_plane(key.image, size_wh)
    overlays = [
        "" if drawn is None else _encode_jpeg(draw_overlay(image, _scaled(drawn, size_wh)), budget)
        for drawn in (key.saliency, key.explained)
    ]
    bar = choose_bar(content, width)
    scale = draw_scale(bar, size_wh) if bar else Markup()
    return _Pair(key, _encode_jpeg(image, budget), overlays[0], overlays[1], size_wh, scale)


def _scaled(saliency: NDArray[np.float32], size_wh: tuple[int, int]) -> NDArray[np.float32]:
    scaled = cv2.resize(saliency, size_wh, interpolation=cv2.INTER_AREA)
    return scaled.astype(np.float32, copy=False)


def _encode_jpeg(image: NDArray[np.uint8], budget: int) -> str:
    """Encode at the best quality within `budget` bytes."""
    for quality in _QUALITIES:
        data = encode_jpeg(image, quality)
        if len(data) <= budget:
            break
    return _data_uri("image/jpeg", data)


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
