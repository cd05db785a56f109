"""Makes the pictures of the documents from the phantom: `make pictures`. Needs chromium."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np

from stream.cli import main
from stream.sources.phantom import PhantomScene, parse_phantom

IMAGES = Path(__file__).parent / "images"
WINDOW = "1280,1560"
CHROMIUM = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--hide-scrollbars", "--disable-background-networking", "--disable-component-update"),
)
SHEET = (
    ("kidney?seed=21&finding=dilated", "kidney?seed=24&finding=dilated", "kidney?seed=32"),
    ("ovary?seed=3&finding=many", "uterus?seed=4&finding=fibroid", "ovary?seed=8&finding=few"),
    (
        "lung?seed=5&finding=a_lines",
        "lung?seed=6&finding=b_lines",
        "lung?seed=9&finding=consolidation",
    ),
)
TILE_WH = (480, 360)


def draw_report(folder: Path) -> None:
    """Run the demonstration and keep a screenshot of its page and one panel."""
    assert main(["demo", "--out", str(folder)]) == 0
    report = folder / "kidney" / "report"
    command = [
        shutil.which("chromium") or "chromium",
        *CHROMIUM,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={WINDOW}",
        f"--screenshot={IMAGES / 'report.png'}",
        (report / "index.html").as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True)
    panel_bgr = cv2.imread(str(report / "frame_1.png"))
    assert panel_bgr is not None
    small = cv2.resize(panel_bgr, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(IMAGES / "panel.png"), small)


def draw_sheet() -> None:
    """Draw the frame of each phantom in which the finding is largest."""
    rows = [np.hstack([_tile(address) for address in row]) for row in SHEET]
    cv2.imwrite(str(IMAGES / "phantom.png"), np.vstack(rows))


def _tile(address: str) -> np.ndarray:
    scene = PhantomScene(parse_phantom(f"phantom:{address}&seconds=6"))
    frames = [scene.frame(index) for index in range(0, 150, 10)]
    image, _ = max(frames, key=lambda pair: int(pair[1].sum()))
    return cv2.resize(image, TILE_WH, interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    draw_sheet()
    with tempfile.TemporaryDirectory(prefix="sonostream-pictures-") as scratch:
        draw_report(Path(scratch))
