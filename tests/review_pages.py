"""The review page as tests see it: when it is ready, what it shows, what was judged."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.review_rows import READ_BACK

PICTURED = "window.review && review.player.pictured && !review.player.seeking"
READY = f"{PICTURED} && review.progress().film.state === 'ready'"
STILL = "!review.player.seeking && !review.player.playing"
SMALL = READ_BACK.replace("1280", "320")
ABSENT = "document.querySelector('#absent:not([hidden])')?.innerText"
NEEDS_BROWSER = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="chromium is not installed"
)


def enter(page, review):
    page.open(review.address)
    page.until(READY)


def shown(page):
    page.until(STILL)
    return page.run("review.player.shown")


def labels(page):
    return page.run("review.labels()")


def call(page, key):
    page.until(f"review.labels().calls['{key}']")
    return labels(page)["calls"][key]
