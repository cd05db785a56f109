"""Makes docs/images/review.png from the phantom, in chromium: `python -m docs.review_picture`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.browser import open_browser
from tests.review_sessions import reviewing

IMAGES = Path(__file__).parent / "images"
PHANTOM = "phantom:kidney?seed=21&finding=dilated&seconds=6"
STILL = "!review.player.seeking && !review.player.playing"


def draw_review(folder: Path, target: Path, size_wh: tuple[int, int] = (1280, 720)) -> None:
    """Review the phantom as a person would, and keep a screenshot."""
    flags = ("--reader", "anna", "--out", str(folder / "sessions"))
    with reviewing(PHANTOM, *flags) as review, open_browser(folder / "profile", size_wh) as page:
        review.wait_for("maps")
        page.open(review.address)
        page.until("window.review && review.player.pictured && !review.player.seeking")
        page.press("2", shift=True)
        for key in ("k", "2", "k", "a", "ArrowRight", "x", "k", "a", "h"):
            page.press(key)
            page.until(STILL)
        page.until("Object.keys(review.labels().calls).length === 5")
        page.until("!document.getElementById('map').hidden")
        page.picture(target)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        draw_review(Path(scratch), IMAGES / "review.png")
