"""Numbers and words out of raw DICOM values."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?")
_INTEGER = re.compile(r"[+-]?\d{1,12}")
_MAX_DECIMAL_CHARS = 16


@dataclass(frozen=True, slots=True)
class Values:
    """Raw element values by DICOM keyword; what cannot be read counts as absent.

    Parameters
    ----------
    raw : value bytes by keyword
    little_endian : byte order of binary values

    References
    ----------
    DICOM PS3.5 section 6.2 (value representations DS, IS, US).
    """

    raw: dict[str, bytes]
    little_endian: bool

    def text(self, keyword: str) -> str:
        """Return the value as ASCII without padding, empty when absent."""
        return self.raw.get(keyword, b"").decode("ascii", "replace").strip(" \0")

    def words(self, keyword: str) -> NDArray[np.uint16]:
        """Return 16-bit unsigned integers, none when absent."""
        raw = self.raw.get(keyword, b"")
        order = "<u2" if self.little_endian else ">u2"
        return np.frombuffer(raw[: len(raw) // 2 * 2], order).astype(np.uint16)

    def short(self, keyword: str) -> int | None:
        """Return the first 16-bit unsigned integer, or None."""
        words = self.words(keyword)
        return int(words[0]) if words.size else None

    def decimals(self, keyword: str) -> tuple[str, ...]:
        """Return decimal strings, none when absent or when one of them is no number."""
        parts = tuple(part.strip() for part in self.text(keyword).split("\\"))
        good = all(len(p) <= _MAX_DECIMAL_CHARS and _DECIMAL.fullmatch(p) for p in parts)
        return parts if good else ()

    def decimal(self, keyword: str) -> float | None:
        """Return the first decimal string as a number, or None."""
        parts = self.decimals(keyword)
        return float(parts[0]) if parts else None

    def integers(self, keyword: str) -> tuple[int, ...]:
        """Return integer strings as numbers, none when absent or when one is no integer."""
        parts = tuple(part.strip() for part in self.text(keyword).split("\\"))
        return tuple(map(int, parts)) if all(map(_INTEGER.fullmatch, parts)) else ()
