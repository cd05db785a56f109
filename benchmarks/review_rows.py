"""How long a seek of the review page takes, in a real browser, until the frame is on the screen.

Run from the checkout: `python -m benchmarks.review_rows FOLDER [MINUTES [FRAMES_PER_SECOND]]`.
Clip, session and film are made in FOLDER once. Each frame of the clip carries its number as bright
and dark blocks; after each seek they are read back from the picture that the browser shows.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine
from engines.cache import open_cache
from engines.choose import Wanted, choose_engine
from engines.load import load_model
from engines.open import DEMO_MODEL
from engines.pixels import Pixels
from stream.config import AnalysisConfig
from stream.job import Job, model_used
from stream.replay import finish, record_clip
from stream.review.clip import open_clip
from stream.review.film import find_film, make_film
from stream.review.serve import Sitting, serve
from stream.session.manifest import read_manifest
from stream.sources.open import open_source
from stream.sources.proxy import FilmWriter
from tests.browser import Page, open_browser

SIZE_WH, SEEKS, BITS, SIDE = (1280, 720), 50, 16, 16
EVERY = 100  # frames analysed; a seek does not care
PHANTOM = "phantom:kidney?seed=7&seconds=4&size=1280x720"
READ_BACK = f"""(() => {{
  const film = document.getElementById("film");
  const canvas = new OffscreenCanvas({SIZE_WH[0]}, {SIDE});
  const pen = canvas.getContext("2d", {{ willReadFrequently: true }});
  pen.drawImage(film, 0, 0);
  let number = 0;
  for (let bit = 0; bit < {BITS}; bit++) {{
    const [level] = pen.getImageData({SIDE} * bit + {SIDE // 2}, {SIDE // 2}, 1, 1).data;
    if (level > 127) number += 2 ** bit;
  }}
  return number;
}})()"""
SEEK = """(async () => {{
  await review.player.settled();
  const began = performance.now();
  review.player.seek({frame});
  const shown = await review.player.settled();
  return [shown, performance.now() - began];
}})()"""


def main(folder: Path, minutes: float = 10.0, rate_hz: float = 25.0) -> dict[str, object]:
    """Measure and return the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    session = make_session(
        make_clip(folder / "long.mp4", round(minutes * 60 * rate_hz), rate_hz), folder
    )
    clip = open_clip(session)
    if find_film(clip) is None:
        make_film(clip, lambda done: None)
    with tempfile.TemporaryDirectory() as profile, open_browser(Path(profile)) as page:
        times, wrong = measure(page, clip_address(session), len(clip.places))
    p50, p95 = np.percentile(times, (50, 95))
    return {
        "what": "review seek, 1280x720",
        "minutes": minutes,
        "frames": len(clip.places),
        "seeks": len(times),
        "wrong_frames": wrong,
        "p50_ms": round(float(p50), 1),
        "p95_ms": round(float(p95), 1),
        "max_ms": round(max(times), 1),
        "film_mb": round((clip.review_folder / ".film.mp4").stat().st_size / 1e6),
    } | describe_machine()


def make_clip(path: Path, count: int, rate_hz: float) -> Path:
    """Write the clip: four seconds of phantom over and over, each frame with its number."""
    if path.exists():
        return path
    part = path.with_suffix(".part")
    with open_source(PHANTOM, session="bench") as source:
        images = [_soften(frame.image) for frame in source]
    with FilmWriter(part, SIZE_WH) as writer:
        for number in range(count):
            image = write_number(images[number % len(images)].copy(), number)
            writer.write(Pixels((image,)), round(number * 1000 / rate_hz))
    return part.rename(path)


def _soften(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blur speckle by a pixel: a frame then takes about as many bytes as one of a real scanner."""
    return cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.uint8, copy=False)


def write_number(image: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """Draw the bits of a number into the top left corner, lowest bit first."""
    for bit in range(BITS):
        image[:SIDE, bit * SIDE : (bit + 1) * SIDE] = 255 if number >> bit & 1 else 0
    return image


def make_session(clip: Path, folder: Path) -> Path:
    """Analyse a hundredth of the frames."""
    session = folder / "sessions" / clip.stem
    if session.exists() and read_manifest(session).complete:
        return session
    shutil.rmtree(session, ignore_errors=True)
    model = load_model(DEMO_MODEL)
    chosen = choose_engine(model, open_cache(folder / "cache"), Wanted("openvino"), print)
    used = model_used(chosen, model, DEMO_MODEL)
    job = Job(chosen.engine, used, AnalysisConfig(every=EVERY))
    recorded = record_clip(str(clip), job, folder / "sessions", lambda source: None)
    finish(recorded.folder, recorded.manifest)
    chosen.engine.close()
    return session


def clip_address(session: Path) -> str:
    """Serve the session from a thread that ends with the process; return the address."""
    told, heard = threading.Event(), list[str]()

    def say(address: str) -> None:
        heard.append(address)
        told.set()

    sitting = Sitting("bench", blind=True, browse=False)
    threading.Thread(target=serve, args=(open_clip(session), sitting, say), daemon=True).start()
    assert told.wait(60), "the review did not start"
    return heard[0]


def measure(page: Page, address: str, count: int) -> tuple[list[float], int]:
    """Return the time of each seek in ms, and how many showed another frame than asked for."""
    page.open(address)
    page.until("window.review && review.player.ready && !review.player.seeking", 120)
    times, wrong = [], 0
    for frame in draw_frames(count):
        shown, took = page.run(SEEK.format(frame=frame))
        times.append(float(took))
        wrong += shown != frame or page.run(READ_BACK) != frame
    return times, wrong


def draw_frames(count: int) -> Iterator[int]:
    """Yield the places of the seeks."""
    yield from np.random.default_rng(6).integers(count, size=SEEKS).tolist()


if __name__ == "__main__":
    cv2.setNumThreads(1)
    given = sys.argv[1:] or ["runs/review"]
    print(json.dumps(main(Path(given[0]), *map(float, given[1:]))))
