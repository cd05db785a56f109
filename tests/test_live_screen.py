"""Facts about the live screen: the picture, and that nothing of the past looks current."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from engines.pixels import Pixels
from engines.preprocess import cam_to_image, place
from stream.live.screen.pen import BACK
from stream.live.screen.picture import inner_box
from stream.live.screen.scene import Verdict
from stream.live.screen.screen import Screen
from stream.report.overlay import draw_overlay
from tests.scenes import SPEC, make_scene, make_verdict, random_scene

pytestmark = pytest.mark.timeout(120)
SIZES = (
    (640, 360),
    (1024, 768),
    (1280, 720),
    (1920, 1080),
    (720, 1280),
    (2560, 1080),
    (3840, 2160),
)
SMALL = (640, 360)


def part(screen, image_bgr, name):
    """Return a copy of one region."""
    left, top, right, bottom = screen.regions[name]
    return image_bgr[top:bottom, left:right].copy()


def drawn(scene, size_wh=SMALL):
    """Return the picture that a new screen draws."""
    return Screen(size_wh).draw(scene)


def is_colour(image_bgr, colour):
    """Return shape (H, W), True where a pixel has exactly that colour."""
    return (image_bgr == np.array(colour, np.uint8)).all(axis=-1)


@pytest.mark.parametrize("size_wh", SIZES)
def test_the_regions_tile_the_screen(size_wh):
    covered = np.zeros(size_wh[::-1], int)
    for left, top, right, bottom in Screen(size_wh).regions.values():
        covered[top:bottom, left:right] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize("size_wh", SIZES)
def test_any_scene_fills_a_screen_of_any_size(size_wh):
    screen, rng = Screen(size_wh), np.random.default_rng(7)
    for _ in range(3):
        image_bgr = screen.draw(random_scene(rng))
        assert image_bgr.shape == (size_wh[1], size_wh[0], 3)
        assert image_bgr.dtype == np.uint8


def test_the_picture_takes_most_of_the_screen():
    left, top, right, bottom = Screen((1920, 1080)).regions["picture"]
    assert (right - left) * (bottom - top) > 0.55 * 1920 * 1080


def test_a_screen_too_small_to_read_is_refused():
    with pytest.raises(ValueError, match="at least"):
        Screen((200, 100))


def test_without_a_current_result_nothing_depends_on_one():
    """The invariant: withdrawn is withdrawn, whatever was known before or is known elsewhere."""
    rng, screen = np.random.default_rng(11), Screen(SMALL)
    nothing = make_scene(spec=None, verdict=None, picture=None)
    withdrawn = part(screen, screen.draw(nothing), "panel")
    for _ in range(150):
        scene = random_scene(rng)
        screen.draw(scene)
        bare = replace(scene, verdict=None)
        image_bgr = screen.draw(bare).copy()
        assert np.array_equal(part(screen, image_bgr, "panel"), withdrawn)
        plain = screen.draw(replace(bare, spec=None, heat=False))
        assert np.array_equal(part(screen, image_bgr, "picture"), part(screen, plain, "picture"))


def test_what_was_drawn_before_leaves_no_trace():
    rng, screen = np.random.default_rng(12), Screen(SMALL)
    for _ in range(60):
        scene = random_scene(rng)
        if rng.random() < 0.5:
            scene = replace(scene, verdict=None)
        assert np.array_equal(screen.draw(scene), drawn(scene))


@pytest.mark.parametrize(
    "verdict",
    [
        make_verdict(label="something else"),
        Verdict("dilated", *[np.array([np.nan, 0.5], np.float32)] * 2, np.ones((7, 7), np.float32)),
        Verdict("dilated", *[np.ones(3, np.float32)] * 2, np.ones((7, 7), np.float32)),
    ],
    ids=["unknown label", "not a number", "another model"],
)
def test_a_verdict_that_does_not_fit_the_model_is_not_shown(verdict):
    shown = drawn(make_scene(verdict=verdict))
    assert np.array_equal(shown, drawn(make_scene(verdict=None)))


def test_a_verdict_without_its_model_is_not_shown():
    shown = drawn(make_scene(spec=None))
    assert np.array_equal(shown, drawn(make_scene(spec=None, verdict=None)))


def test_the_heat_map_has_the_reports_colours_at_the_place_of_the_model_input():
    scene, screen = make_scene(), Screen(SMALL)
    picture_bgr = part(screen, screen.draw(scene), "picture")
    plain_bgr = part(screen, screen.draw(replace(scene, heat=False)), "picture")
    left, top, right, bottom = inner_box((120, 160), picture_bgr.shape[:2])
    shown_hw = (bottom - top, right - left)
    where = place((120, 160), SPEC.input_wh, SPEC.fit)
    where = replace(where, crop_xyxy=(0, 0, shown_hw[1], shown_hw[0]))
    plain = np.ascontiguousarray(plain_bgr[top:bottom, left:right, ::-1])
    expected = draw_overlay(plain, cam_to_image(scene.verdict.cam, shown_hw, where))
    assert np.array_equal(picture_bgr[top:bottom, left:right, ::-1], expected)
    assert not np.array_equal(expected, plain)


@pytest.mark.parametrize("fit", ["letterbox", "stretch", "center_square"])
def test_the_heat_map_lies_where_the_model_looked(fit):
    cam = np.zeros((64, 64), np.float32)
    cam[31:33, 31:33] = 1.0
    spec = msgspec.structs.replace(SPEC, fit=fit)
    grey = Pixels((np.full((100, 200), 90, np.uint8),))
    scene = make_scene(picture=grey, spec=spec, verdict=make_verdict(cam=cam))
    screen = Screen(SMALL)
    hot = part(screen, screen.draw(scene), "picture").astype(int)
    cold = part(screen, screen.draw(replace(scene, heat=False)), "picture")
    rows, columns = np.nonzero(np.abs(hot - cold).sum(axis=-1))
    left, top, right, bottom = inner_box((100, 200), cold.shape[:2])
    assert rows.mean() == pytest.approx((top + bottom - 1) / 2, abs=1.0)
    assert columns.mean() == pytest.approx((left + right - 1) / 2, abs=1.0)


@pytest.mark.parametrize("change", [{"heat": False}, {"frozen": "2.4 s ago"}])
def test_the_heat_map_is_not_drawn_over_a_picture_of_the_past_nor_when_off(change):
    scene, screen = make_scene(**change), Screen(SMALL)
    shown = screen.draw(scene).copy()
    plain = screen.draw(replace(scene, verdict=None))
    assert np.array_equal(part(screen, shown, "picture"), part(screen, plain, "picture"))


def smooth_picture(kind, shape_hw):
    """Return a picture without fine detail, in which all ways to resize agree."""
    rows, columns = np.mgrid[: shape_hw[0], : shape_hw[1]] / max(shape_hw)
    waves = [128 + 90 * np.sin(3 * rows * i + 4 * columns) for i in (1, 2, 3)]
    planes = [wave.astype(np.uint8) for wave in waves]
    if kind == "grey":
        return Pixels((planes[0],), full_range=False)
    if kind == "rgb":
        return Pixels((np.dstack(planes),))
    luma, *chroma = planes
    return Pixels((luma, *(plane[::2, ::2].copy() for plane in chroma)), "bt709", False)


@pytest.mark.parametrize("shape_hw", [(90, 120), (241, 321), (1080, 1920)])
@pytest.mark.parametrize("kind", ["grey", "rgb", "yuv"])
def test_the_picture_has_the_colours_of_its_source(kind, shape_hw):
    picture, screen = smooth_picture(kind, shape_hw), Screen(SMALL)
    shown = part(screen, screen.draw(make_scene(picture=picture, verdict=None)), "picture")
    left, top, right, bottom = inner_box(shape_hw, shown.shape[:2])
    expected = picture.resized((right - left, bottom - top))[..., ::-1].astype(int)
    assert np.abs(shown[top:bottom, left:right] - expected).max() <= 6


def test_the_picture_keeps_its_aspect_on_near_black():
    white = Pixels((np.full((100, 250), 255, np.uint8),))
    screen = Screen(SMALL)
    shown = part(screen, screen.draw(make_scene(picture=white, verdict=None)), "picture")
    lit = (shown == 255).all(axis=-1)
    rows, columns = np.nonzero(lit)
    assert np.ptp(columns) + 1 == pytest.approx(2.5 * (np.ptp(rows) + 1), abs=3)
    assert is_colour(shown, BACK)[~lit].all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 4096), (4096, 2), (64, 64, 3)])
def test_a_picture_of_any_shape_can_be_read_only(shape):
    plane = np.full(shape, 200, np.uint8)
    plane.flags.writeable = False
    assert (drawn(make_scene(picture=Pixels((plane,)), verdict=None)) == 200).any()


def test_drawing_changes_nothing_that_it_was_given():
    rng = np.random.default_rng(3)
    planes = (rng.integers(0, 256, (360, 640, 3), np.uint8),)
    scene = make_scene(picture=Pixels(planes))
    before, cam = planes[0].copy(), scene.verdict.cam.copy()
    drawn(scene)
    assert np.array_equal(planes[0], before)
    assert np.array_equal(scene.verdict.cam, cam)


def test_the_screen_is_drawn_into_the_same_memory():
    screen = Screen(SMALL)
    assert screen.draw(make_scene()) is screen.draw(make_scene(tick=1))


def test_the_live_mark_alone_moves_with_a_new_frame():
    screen = Screen(SMALL)
    first = screen.draw(make_scene(tick=4)).copy()
    same = screen.draw(make_scene(tick=4)).copy()
    moved = (screen.draw(make_scene(tick=5)) != first).any(axis=-1)
    rows, columns = np.nonzero(moved)
    left, top, right, bottom = screen.regions["header"]
    assert np.array_equal(first, same)
    assert rows.size > 0
    assert top <= rows.min() <= rows.max() < bottom
    assert left + 0.8 * (right - left) < columns.min() <= columns.max() < right
