"""Facts about finding the sector and blackening everything else."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.pixels import Pixels
from stream.sector.find import find_sector
from stream.sector.masker import Masker
from stream.sector.outline import MAX_CORNERS, Sector
from stream.sources.open import open_source
from stream.sources.phantom.spec import FINDINGS
from tests.scanner_screens import colour_bars, phantom, screens, text_screen

pytestmark = pytest.mark.timeout(120)
REAL = Path("../shared/data")
TRIANGLE = Sector((20, 8, 84, 56), ((52, 8), (84, 40), (60, 56), (21, 44)), (96, 64))
LAYOUTS = {
    "grey": [()],
    "rgb": [(64, 96, 3)],
    "444": [(64, 96)] * 2,
    "422": [(64, 48)] * 2,
    "420": [(32, 48)] * 2,
    "411": [(64, 24)] * 2,
    "410": [(16, 24)] * 2,
    "440": [(32, 96)] * 2,
    "uneven": [(64, 45)] * 2,
}


def grey(images):
    """Wrap grey images."""
    return [Pixels((image,)) for image in images]


def picture(name, full_range, seed=0):
    """Return a picture of 96x64 whose samples are all far from black and neutral."""
    rng = np.random.default_rng(seed)
    chroma = LAYOUTS[name]
    if chroma[0] and len(chroma[0]) == 3:
        return Pixels((rng.integers(40, 100, chroma[0], dtype=np.uint8),))
    shapes = [(64, 96), *(shape for shape in chroma if shape)]
    planes = tuple(rng.integers(40, 100, shape, dtype=np.uint8) for shape in shapes)
    return Pixels(planes, "bt709", full_range)


CLIPS = [
    (organ, finding, geometry)
    for organ, geometry in itertools.product(FINDINGS, ("sector", "linear"))
    for finding in FINDINGS[organ]
]


@pytest.mark.parametrize(("organ", "finding", "geometry"), CLIPS)
def test_every_phantom_is_kept_whole(organ, finding, geometry):
    images, fan = phantom(organ, finding, geometry=geometry, seed=1)
    sector = find_sector(grey(images))
    assert sector is not None
    assert (fan & ~sector.mask()).sum() < 0.02 * fan.sum()


@pytest.mark.parametrize(("organ", "finding", "geometry"), CLIPS[::3])
def test_a_still_is_enough(organ, finding, geometry):
    images, fan = phantom(organ, finding, geometry=geometry, seed=1, count=1)
    sector = find_sector(grey(images * 8))
    assert sector is not None
    assert (fan & ~sector.mask()).sum() < 0.02 * fan.sum()


SCREENS = [
    ("kidney", "sector", (1280, 720), (0.5, 0.6), 0.75, 0),
    ("lung", "sector", (1920, 1080), (0.3, 0.7), 0.6, 16),
    ("ovary", "linear", (800, 600), (0.7, 0.8), 0.7, 0),
    ("uterus", "linear", (1280, 960), (0.5, 0.5), 0.8, 30),
]


@pytest.mark.parametrize(("organ", "geometry", "size_wh", "place", "scale", "black"), SCREENS)
@pytest.mark.parametrize("moving", [True, False], ids=["moving", "still"])
def test_text_rulers_and_bars_stay_outside(organ, geometry, size_wh, place, scale, black, moving):
    images, fan = phantom(organ, FINDINGS[organ][0], geometry=geometry)
    images = images if moving else images[:1] * 8
    shown, inside, marks = screens(
        images, fan, size_wh=size_wh, place=place, scale=scale, black=black
    )
    mask = find_sector(grey(shown)).mask()
    assert (inside & ~mask).sum() < 0.03 * inside.sum()
    assert (marks & mask).sum() < 0.02 * marks.sum()
    assert not mask[: size_wh[1] // 12, : size_wh[0] // 4].any()  # the name


def test_noise_of_a_grabber_does_not_hide_the_sector():
    images, fan = phantom("kidney", "normal")
    shown, inside, marks = screens(images, fan, black=16)
    rng = np.random.default_rng(0)
    noisy = [(image + rng.normal(0, 2, image.shape)).clip(0, 255) for image in shown]
    mask = find_sector(grey([image.astype(np.uint8) for image in noisy])).mask()
    assert (inside & ~mask).sum() < 0.02 * inside.sum()
    assert (marks & mask).sum() < 0.02 * marks.sum()


def test_a_clock_that_ticks_is_no_image():
    images, fan = phantom("kidney", "normal")
    shown, _, _ = screens(images, fan)
    for second, image in enumerate(shown):
        cv2.putText(image, f"11:24:{second:02d}", (1000, 700), 0, 0.7, 220, 2)
    assert not find_sector(grey(shown)).mask()[680:, 1000:].any()


NO_IMAGE = {
    "black": np.zeros((720, 1280), np.uint8),
    "uniform": np.full((720, 1280), 120, np.uint8),
    "blue": np.full((720, 1280, 3), (0, 0, 200), np.uint8),
    "bars": colour_bars(),
    "bars in a letter box": colour_bars(border=90),
    "few lines of text": text_screen(6),
    "much text": text_screen(24),
    "text on white": text_screen(24, ink=0, paper=240),
}


@pytest.mark.parametrize("name", NO_IMAGE)
def test_f16_nothing_is_cut_where_there_is_no_image(name):
    assert find_sector(grey([NO_IMAGE[name]] * 8)) is None


def test_f16_nothing_is_cut_from_noise():
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (480, 640), dtype=np.uint8) for _ in range(8)]
    assert find_sector(grey(noise)) is None


def test_an_image_that_fills_the_picture_has_no_sector():
    images, fan = phantom("lung", "a_lines", geometry="linear")
    rows, columns = np.flatnonzero(fan.any(axis=1)), np.flatnonzero(fan.any(axis=0))
    tight = [image[rows[0] : rows[-1], columns[0] : columns[-1]] for image in images]
    assert find_sector(grey(tight)) is None


def test_a_known_sector_grows_to_hold_what_shows_later():
    images, fan = phantom("kidney", "normal")
    half = [np.where(np.arange(480)[:, None] < 240, image, 0).astype(np.uint8) for image in images]
    early = find_sector(grey(half))
    late = find_sector(grey(images), early)
    assert (fan & ~early.mask()).sum() > 0.3 * fan.sum()
    assert (fan & ~late.mask()).sum() < 0.02 * fan.sum()
    assert find_sector(grey(half), late) is late
    assert find_sector(grey([NO_IMAGE["black"][:480, :640]]), late) is late


def test_the_outline_is_bounded_and_its_box_even():
    images, _ = phantom("kidney", "normal")
    sector = find_sector(grey(images))
    assert len(sector.outline) <= MAX_CORNERS
    assert all(side % 4 == 0 for side in sector.box_xyxy)


@pytest.mark.parametrize(
    "change",
    [
        {"outline": ((0, 0), (9, 9))},
        {"outline": ((0, 0), (9, 0), (3, 3), (0, 9))},
        {"outline": ((0, 0), (5, 0), (9, 0), (9, 9))},
        {"outline": ((0, 0), (9, 0), (9, 11))},
        {"outline": ((0, 0), (9, 9), (9, 0), (0, 9))},
        {"box_xyxy": (1, 0, 9, 9)},
        {"box_xyxy": (0, 0, 11, 9)},
    ],
    ids=["two corners", "dent", "flat corner", "outside", "crossed", "box cuts", "box outside"],
)
def test_a_sector_is_checked_when_built(change):
    good = {"box_xyxy": (0, 0, 9, 9), "outline": ((0, 0), (9, 0), (0, 9)), "size_wh": (10, 10)}
    Sector(**good)
    with pytest.raises(ValueError, match=r"outline|box|corners"):
        Sector(**good | change)


def test_the_mask_of_a_triangle_is_worked_by_hand():
    sector = Sector((0, 0, 4, 4), ((0, 0), (4, 0), (0, 4)), (5, 4))
    assert sector.mask().sum(axis=1).tolist() == [4, 3, 2, 1]


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("full_range", [True, False], ids=["full", "limited"])
def test_no_pixel_outside_the_outline_keeps_its_value(name, full_range):
    given = picture(name, full_range)
    masker = Masker(TRIANGLE)
    left, top, right, bottom = masker.box_xyxy(given)
    kept = masker.apply(given)
    inside = TRIANGLE.mask()[top:bottom, left:right]
    black = 0 if full_range or given.planes[0].ndim == 3 else 16
    assert (kept.planes[0][~inside] == black).all()
    assert (kept.planes[0][inside] == given.planes[0][top:bottom, left:right][inside]).all()
    for plane in kept.planes[1:]:
        # Nearest pixels: what a chroma sample colours at least.
        shown = cv2.resize(plane, inside.shape[::-1], interpolation=cv2.INTER_NEAREST)
        assert (shown[~inside] == 128).all()
        assert (plane != 128).any()


@pytest.mark.parametrize("name", LAYOUTS)
def test_chroma_stays_where_it_was(name):
    whole = Sector((0, 0, 96, 64), ((0, 0), (96, 0), (96, 64), (0, 64)), (96, 64))
    given = picture(name, False)
    cut = Masker(TRIANGLE)
    left, top, right, bottom = cut.box_xyxy(given)
    assert all((a == b).all() for a, b in zip(
        Masker(whole).apply(given).planes, given.planes, strict=True
    ))  # fmt: skip
    full = given.resized((96, 64))[top:bottom, left:right]
    kept = cut.apply(given).resized((right - left, bottom - top))
    deep = cv2.erode(TRIANGLE.mask().astype(np.uint8), np.ones((11, 11)))[top:bottom, left:right]
    assert np.abs(full.astype(int) - kept)[deep > 0].max() <= 1


def test_odd_sizes_keep_their_last_chroma_sample():
    rng = np.random.default_rng(0)
    planes = [rng.integers(40, 99, shape, dtype=np.uint8) for shape in [(47, 65)] + [(24, 33)] * 2]
    whole = Sector((0, 0, 65, 47), ((0, 0), (65, 0), (65, 47), (0, 47)), (65, 47))
    kept = Masker(whole).apply(Pixels(tuple(planes), "bt601", False))
    assert all((a == b).all() for a, b in zip(kept.planes, planes, strict=True))


def test_a_masker_follows_a_change_of_planes_and_refuses_another_size():
    masker = Masker(TRIANGLE)
    shapes = {name: masker.apply(picture(name, True)).planes[-1].shape for name in ("420", "444")}
    assert shapes == {"420": (24, 32), "444": (48, 64)}
    with pytest.raises(ValueError, match="the sector is for"):
        masker.apply(Pixels((np.zeros((10, 10), np.uint8),)))


@pytest.mark.skipif(not REAL.exists(), reason="no real ultrasound on this machine")
@pytest.mark.parametrize(
    ("name", "image_xyxy", "outside_xyxy"),
    [
        ("clips/butterfly-ocular-phantom.mp4", (95, 200, 670, 690), (0, 0, 776, 110)),
        ("clips/clarius-ocular-short.mp4", (270, 110, 990, 860), (0, 0, 1280, 50)),
        ("dicom/examples_ybr_color.dcm", (120, 120, 185, 185), (0, 0, 60, 40)),
        ("dicom/examples_rgb_color.dcm", (10, 60, 310, 160), (0, 0, 320, 45)),
    ],
    ids=lambda value: Path(value).stem if isinstance(value, str) else "",
)
def test_real_screens_lose_their_text_and_keep_their_image(name, image_xyxy, outside_xyxy):
    with open_source(str(REAL / name), session="test") as source:
        frames = [
            Pixels(tuple(np.array(plane) for plane in frame.pixels.planes))
            for frame in itertools.islice(source, 8)
        ]
    mask = find_sector(frames).mask()
    left, top, right, bottom = image_xyxy
    assert mask[top:bottom, left:right].all()
    left, top, right, bottom = outside_xyxy
    assert not mask[top:bottom, left:right].any()
