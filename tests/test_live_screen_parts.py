"""Facts about the live screen: letters, banners, bar, strip, key frames, and any text in them."""

from dataclasses import replace

import cv2
import msgspec
import numpy as np
import pytest

from stream.live.screen.pen import ALARM, FINDING, INK
from stream.live.screen.scene import Key, Strip
from stream.live.screen.screen import Screen
from stream.live.viewer.freshness import Banner
from tests.scenes import LABELS, SPEC, make_scene, make_verdict
from tests.test_live_screen import SMALL, drawn, is_colour, part

pytestmark = pytest.mark.timeout(120)
HOSTILE = (
    "\ud800 unpaired",
    "two\nlines\tand\x00nul",
    "‮right to left",
    "x" * 10_000,
    "😀 ∑ 漢字 ü",
    " ",
    "",
    "%s {0} [red]markup[/red]",
)


def ink_rows(image_bgr, colour):
    """Return how many rows lie between the first and the last with letters of a colour."""
    rows = np.flatnonzero(is_colour(image_bgr, colour).any(axis=1))
    return int(np.ptp(rows)) + 1


@pytest.mark.parametrize("size_wh", [(1280, 720), (1920, 1080), (1024, 768)])
def test_letters_can_be_read_from_two_metres(size_wh):
    height, screen = size_wh[1], Screen(size_wh)
    alarm = (Banner("AI DOWN", "", "alarm"),)
    scene = make_scene(banners=alarm, hud=(("H", ""),), recording=False)
    image_bgr = screen.draw(scene).copy()
    left, top, right, bottom = screen.banner_boxes[0]
    assert ink_rows(image_bgr[top:bottom, left:right], INK) >= 0.05 * height
    label = is_colour(part(screen, image_bgr, "panel"), (0, 0, 0)).any(axis=1)
    assert np.ptp(np.flatnonzero(label)) + 1 >= 0.05 * height
    without = part(screen, screen.draw(replace(scene, hud=())), "hud")
    rows = np.flatnonzero((part(screen, image_bgr, "hud") != without).any(axis=(1, 2)))
    assert np.ptp(rows) + 1 >= 0.02 * height


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 2)])
def test_each_kind_of_label_looks_unlike_the_others(one, other):
    panels = []
    for label in (LABELS[one], LABELS[other]):
        screen = Screen(SMALL)
        panels.append(
            part(screen, screen.draw(make_scene(verdict=make_verdict(label, 0.5))), "panel")
        )
    top = panels[0].shape[0] // 3
    changed = (panels[0][:top] != panels[1][:top]).any(axis=-1)
    assert changed.mean() > 0.08


def test_the_bar_ends_at_the_probability():
    screen = Screen((1280, 720))
    ends = []
    for probability in (0.6, 0.8, 1.0):
        scene = make_scene(verdict=make_verdict("dilated", probability))
        panel = part(screen, screen.draw(scene), "panel")
        bar = is_colour(panel[panel.shape[0] * 6 // 10 :], FINDING).any(axis=0)
        ends.append(int(np.flatnonzero(bar).max()))
    assert ends[1] - ends[0] == pytest.approx(ends[2] - ends[1], abs=2)
    assert ends[2] > 0.9 * panel.shape[1]


def test_banners_keep_their_order_and_are_three_at_most():
    banners = tuple(Banner(f"NUMBER {i}", "", "alarm") for i in range(5))
    screen = Screen(SMALL)
    screen.draw(make_scene(banners=banners))
    tops = [box[1] for box in screen.banner_boxes]
    assert len(tops) == 3
    assert tops == sorted(tops)
    assert tops[0] == 0


def test_a_frozen_picture_says_so_whatever_else_is_wrong():
    banners = tuple(Banner(f"NUMBER {i}", "", level) for i, level in enumerate(["alarm"] * 4))
    shown = drawn(make_scene(banners=banners, frozen="2.4 s ago"))
    assert not np.array_equal(shown, drawn(make_scene(banners=banners, frozen="9.9 s ago")))


def test_an_alarm_is_red_over_the_whole_top_of_the_picture():
    screen = Screen(SMALL)
    image_bgr = screen.draw(make_scene(banners=(Banner("AI DOWN", "worker stopped", "alarm"),)))
    left, top, right, bottom = screen.banner_boxes[0]
    picture = screen.regions["picture"]
    assert (left, top, right) == picture[:3]
    assert is_colour(image_bgr[top:bottom, left:right], ALARM).mean() > 0.5


def test_help_lists_the_keys_below_the_banners():
    banners = tuple(Banner("RECORDING STOPPED", "disk full", "alarm") for _ in range(3))
    screen = Screen((1280, 720))
    without = screen.draw(make_scene(banners=banners)).copy()
    shown = screen.draw(make_scene(banners=banners, help=True))
    rows = np.flatnonzero((shown != without).any(axis=(1, 2)))
    assert rows.min() > screen.banner_boxes[-1][3]


def strip_scene(value):
    """Return a scene whose strip has one point a second, 29 s to 1 s ago."""
    age_s = np.arange(29.0, 0.0, -1.0)
    points = np.full(29, 0.75, np.float32) if value is None else value
    return make_scene(strip=Strip(age_s, points), verdict=None)


def columns_with_line(scene, size_wh=(1280, 720)):
    """Return in which columns of the strip the line is seen, and how wide the strip is."""
    screen = Screen(size_wh)
    strip = part(screen, screen.draw(scene), "strip")
    return np.flatnonzero((np.abs(strip.astype(int) - FINDING).max(axis=-1) < 40).any(axis=0))


def test_the_strip_breaks_where_there_was_no_result():
    value = np.full(29, 0.75, np.float32)
    value[10:20] = np.nan
    whole = columns_with_line(strip_scene(None))
    broken = columns_with_line(strip_scene(value))
    assert np.diff(whole).max() == 1
    assert np.diff(broken).max() == pytest.approx(np.ptp(whole) * 11 / 28, abs=8)


def test_a_strip_without_any_result_has_no_line():
    assert columns_with_line(strip_scene(np.full(29, np.nan, np.float32))).size == 0


def test_points_older_than_the_strip_are_left_out():
    old = Strip(np.array([90.0, 60.0, 31.0]), np.ones(3, np.float32))
    assert columns_with_line(make_scene(strip=old, verdict=None)).size == 0


def test_a_long_strip_keeps_its_peaks():
    age_s = np.linspace(30, 0, 1800)
    value = np.full(1800, 0.1, np.float32)
    value[900] = 1.0
    screen = Screen((1280, 720))
    with_peak = part(screen, screen.draw(make_scene(strip=Strip(age_s, value))), "strip")
    top = with_peak[: with_peak.shape[0] // 2]
    assert (np.abs(top.astype(int) - FINDING).max(axis=-1) < 40).any()


def test_key_frames_show_their_own_picture_and_are_five_at_most():
    red = np.zeros((30, 40, 3), np.uint8)
    red[..., 0] = 255
    screen = Screen((1280, 720))
    keys = tuple(Key(red, "0:01.0", 0.9, False) for _ in range(8))
    row = is_colour(part(screen, screen.draw(make_scene(keys=keys)), "keys"), (0, 0, 255)).any(
        axis=0
    )
    assert np.count_nonzero(np.diff(row.astype(int)) == 1) == 5


def test_new_key_frames_replace_the_old_ones():
    first = tuple(Key(np.full((30, 40, 3), 90, np.uint8), "0:01.0", 0.9, False) for _ in range(2))
    screen = Screen(SMALL)
    screen.draw(make_scene(keys=first))
    assert np.array_equal(screen.draw(make_scene()), drawn(make_scene()))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_can_stop_the_screen_or_leave_its_place(text):
    banner, key = Banner(text, text, "alarm"), Key(np.ones((9, 9, 3), np.uint8), text, 0.5, True)
    scene = make_scene(verdict=None)
    changes = {
        "header": {"source": text, "clock": text},
        "hud": {"hud": ((text, text), ("name", text))},
        "keys": {"keys": (key,)},
        "picture": {"banners": (banner,), "frozen": text},
    }
    for name, change in changes.items():
        screen = Screen(SMALL)
        before = screen.draw(scene).copy()
        after = screen.draw(replace(scene, **change))
        for other in screen.regions.keys() - {name}:
            assert np.array_equal(part(screen, before, other), part(screen, after, other))


@pytest.mark.parametrize("name", ["hydronephrosis grade IV left kidney", "x" * 300, "漢字", "a b"])
def test_any_class_name_fits_its_plate(name):
    spec = msgspec.structs.replace(SPEC, classes=("normal", name), positive_class=name)
    screen = Screen(SMALL)
    panel = part(screen, screen.draw(make_scene(spec=spec, verdict=make_verdict(name))), "panel")
    edge = is_colour(panel[:40], (0, 0, 0)).any(axis=0)
    assert not edge[:8].any()
    assert not edge[-8:].any()


def test_the_screen_says_that_it_is_not_a_medical_device():
    screen = Screen((1280, 720))
    footer = part(screen, screen.draw(make_scene(verdict=None, picture=None)), "footer")
    assert cv2.countNonZero((footer.max(axis=-1) > 150).astype(np.uint8)) > 200
