"""Cells that no spreadsheet takes for a formula."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - as Excel reads


def guard_cell(text: str) -> str:
    """Return `text`, behind an apostrophe where a spreadsheet might compute it."""
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text
