"""The phantom's URI: what a synthetic clip is asked to show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal, TypeVar, get_args
from urllib.parse import parse_qsl, urlencode

import numpy as np

from stream.errors import UsageError

Geometry = Literal["sector", "linear"]

FINDINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "kidney": ("normal", "dilated"),
        "ovary": ("few", "many"),
        "uterus": ("none", "fibroid"),
        "lung": ("a_lines", "b_lines", "consolidation"),
    }
)
"""Findings of each organ; the first one is normal."""

_Number = TypeVar("_Number", int, float)
_KEYS = ("seed", "seconds", "finding", "rate_hz", "size", "geometry", "sweep")
_GEOMETRIES = get_args(Geometry)
_SIDE_PX = (64, 2048)
_MAX_SECONDS = 3600.0
_MAX_RATE_HZ = 240.0
_MAX_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class PhantomSpec:
    """One synthetic clip, completely determined by these values.

    Parameters
    ----------
    organ, finding : an organ of `FINDINGS` and one of its findings
    seed : chooses everything that is not listed here
    seconds, rate_hz : length and frame rate
    size_wh : picture size in pixels
    geometry : "sector" for a curved array, "linear" for a flat one
    sweep : True when the plane moves across the organ, so that a finding comes and goes
    """

    organ: str
    finding: str
    seed: int = 0
    seconds: float = 10.0
    rate_hz: float = 25.0
    size_wh: tuple[int, int] = (640, 480)
    geometry: Geometry = "sector"
    sweep: bool = True

    def __post_init__(self) -> None:
        uri = self.uri
        _check_choice(uri, "organ", self.organ, tuple(FINDINGS))
        _check_choice(uri, "finding", self.finding, FINDINGS[self.organ])
        _check_choice(uri, "geometry", self.geometry, _GEOMETRIES)
        _check_range(uri, "seed", self.seed, (0, _MAX_SEED))
        _check_range(uri, "rate_hz", self.rate_hz, (0.1, _MAX_RATE_HZ))
        _check_range(uri, "seconds", self.seconds, (1 / self.rate_hz, _MAX_SECONDS))
        for side_px in self.size_wh:
            _check_range(uri, "size", side_px, _SIDE_PX)

    @property
    def label(self) -> str:
        """The class of the clip: its finding."""
        return self.finding

    @property
    def frame_count(self) -> int:
        """Number of frames, at least one."""
        return max(1, round(self.seconds * self.rate_hz))

    @property
    def uri(self) -> str:
        """The canonical URI: every key, in a fixed order."""
        width, height = self.size_wh
        values = {
            "seed": self.seed,
            "seconds": str(self.seconds).removesuffix(".0"),
            "finding": self.finding,
            "rate_hz": str(self.rate_hz).removesuffix(".0"),
            "size": f"{width}x{height}",
            "geometry": self.geometry,
            "sweep": int(self.sweep),
        }
        return f"phantom:{self.organ}?{urlencode(values)}"


def parse_phantom(uri: str) -> PhantomSpec:
    """Read a phantom URI such as ``phantom:kidney?seed=7&seconds=12``.

    Keys: ``seed``, ``seconds``, ``finding``, ``rate_hz``, ``size`` (``640x480``), ``geometry``
    (``sector`` or ``linear``) and ``sweep`` (0 or 1). The seed chooses what is not given.

    Parameters
    ----------
    uri : the text after the command

    Raises
    ------
    UsageError
        If the organ, a key or a value is unknown; names the nearest one that exists.
    """
    scheme, _, rest = uri.partition(":")
    if scheme != "phantom":
        raise UsageError(uri, f"scheme {scheme!r} is not a phantom", "begin with phantom:")
    organ, _, query = rest.partition("?")
    _check_choice(uri, "organ", organ, tuple(FINDINGS))
    given = _query(uri, query)
    seed = _number(uri, "seed", given.get("seed", "0"), int)
    finding, geometry = _defaults(organ, seed)
    return PhantomSpec(
        organ=organ,
        finding=given.get("finding", finding),
        seed=seed,
        seconds=_number(uri, "seconds", given.get("seconds", "10"), float),
        rate_hz=_number(uri, "rate_hz", given.get("rate_hz", "25"), float),
        size_wh=_size(uri, given.get("size", "640x480")),
        geometry=_geometry(uri, given.get("geometry", geometry)),
        sweep=_flag(uri, given.get("sweep", "1")),
    )


def _defaults(organ: str, seed: int) -> tuple[str, str]:
    rng = np.random.default_rng([max(0, seed), len(organ)])
    findings = FINDINGS[organ]
    finding = findings[int(rng.integers(len(findings)))]
    linear = organ == "lung" and rng.random() < 0.5
    return finding, "linear" if linear else "sector"


def _query(uri: str, query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    for key, value in pairs:
        if key not in _KEYS:
            raise _refusal(uri, f"unknown key {key!r} (value {value!r})", key, _KEYS)
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise UsageError(uri, f"key {twice[0]!r} is given more than once", "give each key once")
    return dict(pairs)


def _number(uri: str, key: str, text: str, kind: type[_Number]) -> _Number:
    try:
        value = kind(text)
    except ValueError:
        raise UsageError(
            uri, f"key {key!r} has value {text!r}", f"give a number ({kind.__name__})", fault="C06"
        ) from None
    if not math.isfinite(value):
        raise UsageError(
            uri, f"key {key!r} has value {text!r}", "give a finite number", fault="C06"
        )
    return value


def _size(uri: str, text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise UsageError(uri, f"key 'size' has value {text!r}", "write it as 640x480", fault="C06")
    return int(width), int(height)


def _geometry(uri: str, text: str) -> Geometry:
    for geometry in _GEOMETRIES:
        if text == geometry:
            return geometry  # type: ignore[no-any-return]
    raise _refusal(uri, f"key 'geometry' has value {text!r}", text, _GEOMETRIES)


def _flag(uri: str, text: str) -> bool:
    _check_choice(uri, "sweep", text, ("0", "1"))
    return text == "1"


def _check_choice(uri: str, key: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise _refusal(uri, f"key {key!r} has value {value!r}", value, allowed)


def _check_range(uri: str, key: str, value: float, limits: tuple[float, float]) -> None:
    low, high = limits
    if not low <= value <= high:
        raise UsageError(
            uri, f"key {key!r} has value {value:g}", f"allowed: {low:g} to {high:g}", fault="C06"
        )


def _refusal(uri: str, problem: str, value: str, allowed: Sequence[str]) -> UsageError:
    near = get_close_matches(value, allowed, n=1, cutoff=0.4)
    hint = f"; nearest: {near[0]}" if near else ""
    return UsageError(uri, problem, f"allowed: {', '.join(allowed)}{hint}", fault="C06")
