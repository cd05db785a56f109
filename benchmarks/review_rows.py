"""How long a seek of the review page takes, in a real browser, until the frame is on the screen.

Run from the checkout: `python -m benchmarks.review_rows [MINUTES [FRAMES_PER_SECOND [FOLDER]]]`.
Clip and session are made in FOLDER once, the film anew each time. Each frame of the clip carries
its number as bright and dark blocks; after each seek they are read back from the picture that the
browser shows. A seek is cold when the piece of film was not made yet.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.browser import Page, open_browser
from benchmarks.machine import describe_machine
from engines.cache import open_cache
from engines.choose import Wanted, choose_engine
from engines.load import load_model
from engines.open import DEMO_MODEL
from stream.config import AnalysisConfig
from stream.job import Job, model_used
from stream.replay import finish, record_clip
from stream.review.clip import open_clip
from stream.review.film import FILM
from stream.session.manifest import read_manifest
from stream.sources.open import open_source
from stream.sources.writer import Encoding, VideoWriter

SIZE_WH, BITS, SIDE = (1280, 720), 16, 16
WARM, COLD, TRIES = 50, 6, 60  # seeks of each kind, and how often a cold one is looked for
LONGEST_S = 170.0
EVERY = 100  # frames analysed; a seek does not care
FOLDER = Path("runs/review")
PHANTOM = "phantom:kidney?seed=7&seconds=4&size=1280x720"
ENCODING = Encoding(
    container="mp4",
    codec="libx264",
    pix_fmt="yuv420p",
    size_wh=SIZE_WH,
    key_every=250,
    space=1,
    colour_range=1,
    options={"preset": "ultrafast", "crf": "20"},
)
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
SEEK = """(() => {{
  const player = review.player, began = performance.now();
  window.took = null;
  const look = () => {{
    if (!player.exact || player.shown !== {frame}) return;
    window.took = performance.now() - began;
    player.removeEventListener("frame", look);
  }};
  player.addEventListener("frame", look);
  player.seek({frame});
  look();
}})()"""


class ClipWriter(VideoWriter):
    """Writes a clip as a scanner might: a key frame in 250, as encoders do unless told."""

    def write(self, image: NDArray[np.uint8], time_ms: int) -> None:
        """Add an (H, W) grey or (H, W, 3) RGB picture."""
        layout = "gray" if image.ndim == 2 else "rgb24"
        frame = av.VideoFrame.from_ndarray(image, format=layout)
        self._encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709"), time_ms)


def measure_seeks(minutes: float, rate_hz: float, folder: Path = FOLDER) -> dict[str, float]:
    """Measure seeks in a clip whose film is made.

    Returns
    -------
    p50_ms, p95_ms, worst_ms : from the request until the browser reports the frame on the screen
    wrong : seeks after which the screen showed another frame
    """
    session = make_session(make_clip(folder, minutes, rate_hz), folder)
    with _opened(session) as page:
        return _warm(page, _count(session))


def measure_cold_seeks(minutes: float, rate_hz: float, folder: Path = FOLDER) -> dict[str, float]:
    """Measure seeks to frames whose piece is not made yet, as soon as a new film is begun.

    Returns
    -------
    p50_ms, p95_ms, worst_ms, wrong : as `measure_seeks`
    seeks : how many there were
    first_ms : from the request for the page until it shows the first frame
    """
    session = make_session(make_clip(folder, minutes, rate_hz), folder)
    for path in open_clip(session).review_folder.glob(f"{FILM}*"):
        path.unlink()
    with _opened(session) as page:
        first_ms = float(page.run("performance.now()"))
        return _cold(page, _count(session)) | {"first_ms": round(first_ms)}


def make_clip(folder: Path, minutes: float, rate_hz: float) -> Path:
    """Write the clip: four seconds of phantom over and over, each frame with its number."""
    path = folder / f"{minutes:g}min-{rate_hz:g}hz.mp4"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with open_source(PHANTOM, session="bench") as source:
        images = [_soften(frame.image) for frame in source]
    with ClipWriter(part, ENCODING) as writer:
        for number in range(round(minutes * 60 * rate_hz)):
            image = write_number(images[number % len(images)].copy(), number)
            writer.write(image, round(number * 1000 / rate_hz))
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


@contextmanager
def _opened(session: Path) -> Iterator[Page]:
    """Yield the review of a session in a browser, its first frame on the screen."""
    words = ("review", str(session), "--no-browser", "--blind", "--reader", "bench")
    command = [sys.executable, "-m", "stream.cli", *words]
    with (
        tempfile.TemporaryDirectory() as profile,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served,
        open_browser(Path(profile)) as page,
    ):
        try:
            assert served.stdout is not None
            found = re.search(r"http:\S+", served.stdout.readline())
            assert found, "the review did not start"
            page.open(found[0])
            page.until("window.review && review.player.pictured && !review.player.seeking")
            yield page
        finally:
            served.terminate()


def _count(session: Path) -> int:
    return len(open_clip(session).places)


def _warm(page: Page, count: int) -> dict[str, float]:
    page.until("review.progress().film.state === 'ready'", LONGEST_S)
    frames = np.random.default_rng(6).integers(count, size=WARM).tolist()
    return _figures([_seek(page, frame) for frame in frames])


def _cold(page: Page, count: int) -> dict[str, float]:
    """Go to the last frame, then to random ones."""
    found: list[tuple[float, bool]] = []
    for frame in [count - 1, *np.random.default_rng(7).integers(count, size=TRIES).tolist()]:
        if len(found) < COLD and not page.run(f"review.player.has({frame})"):
            found.append(_seek(page, frame))
    return _figures(found) | {"seeks": len(found)}


def _seek(page: Page, frame: int) -> tuple[float, bool]:
    """Return how long it took in ms, and whether the right frame is on the screen."""
    page.run(SEEK.format(frame=frame))
    took = float(page.until("window.took", LONGEST_S))
    return took, page.run(READ_BACK) == frame


def _figures(found: list[tuple[float, bool]]) -> dict[str, float]:
    p50, p95, worst = np.percentile([took for took, _ in found], (50, 95, 100))
    figures = {"p50_ms": p50, "p95_ms": p95, "worst_ms": worst}
    wrong = sum(not right for _, right in found)
    return {name: round(float(ms), 1) for name, ms in figures.items()} | {"wrong": wrong}


def main(minutes: float, rate_hz: float, folder: Path) -> dict[str, object]:
    """Measure both kinds and return the figures."""
    cold = measure_cold_seeks(minutes, rate_hz, folder)
    warm = measure_seeks(minutes, rate_hz, folder)
    what = f"review seek, 1280x720, {minutes:g} min at {rate_hz:g} frames/s"
    return {"what": what, "cold": cold, "warm": warm, **describe_machine()}


if __name__ == "__main__":
    cv2.setNumThreads(1)
    told = [*sys.argv[1:], *("10", "10", str(FOLDER))[len(sys.argv) - 1 :]]
    print(json.dumps(main(float(told[0]), float(told[1]), Path(told[2]))))
