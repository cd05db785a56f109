"""The report's page used with mouse and keys in a real browser; `make system-deps` installs one."""

import shutil

import numpy as np
import pytest

from benchmarks.browser import open_browser
from stream.report.html import encode_html
from tests.report_content import build_content

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
FOCUS = "document.activeElement.id"
READOUT = "document.getElementById('readout').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed; `make system-deps` installs it")
    folder = tmp_path_factory.mktemp("page")
    content = build_content(size_wh=(320, 240), clip_name=HOSTILE, classes=("</b>", HOSTILE))
    (folder / "index.html").write_bytes(encode_html(content))
    with open_browser(folder / "profile", (1280, 900)) as page:
        page.address = (folder / "index.html").as_uri()
        yield page


@pytest.fixture
def page(browser):
    browser.log.clear()
    browser.open(browser.address)
    browser.until("document.readyState == 'complete' && !document.getElementById('hint').hidden")
    yield browser
    assert browser.log == []


def hover(page, share_x):
    box = page.run("(b => [b.x, b.y, b.width, b.height])(plot.getBoundingClientRect())")
    at = {"x": box[0] + share_x * box[2], "y": box[1] + 0.5 * box[3]}
    page.call("Input.dispatchMouseEvent", type="mouseMoved", **at)


def test_pointing_at_the_timeline_says_time_label_and_probability(page):
    hover(page, (46 + 898 * 150 / 365) / 960)  # the axis runs from 46 to 944 of 960 units
    said = page.until(f"{READOUT}.trim()")
    assert said.startswith("5.00 s · frame 150 · ")
    assert "smoothed 0.7" in said


def test_a_click_goes_to_the_nearest_key_frame(page):
    page.click("#plot", share_x=0.99)
    assert page.run(FOCUS) == "frame-3"  # 8.20 s, the latest
    assert abs(page.run("document.getElementById('frame-3').getBoundingClientRect().top")) < 20


def test_enter_on_the_timeline_goes_to_the_nearest_key_frame(page):
    page.run("document.getElementById('strip').focus()")
    for _ in range(3):
        page.press("ArrowRight", shift=True)
    page.press("Enter")
    assert page.run(FOCUS) == "frame-5"  # 4.07 s, the earliest


def test_arrows_go_through_the_key_frames_in_order_of_time(page):
    page.run("document.getElementById('strip').focus()")
    page.press("ArrowRight")
    page.press("ArrowRight")
    assert page.run(READOUT).startswith("5.10 s · frame 153")
    page.press("ArrowLeft")
    assert page.run(READOUT).startswith("4.07 s · frame 122")
    page.press("Enter")
    seen = [page.run(FOCUS)]
    for key in ("ArrowRight",) * 5 + ("ArrowLeft",):
        page.press(key)
        seen.append(page.run(FOCUS))
    assert seen == [f"frame-{rank}" for rank in (5, 2, 4, 1, 3, 3, 1)]


def test_tab_reaches_the_timeline_and_each_mark_and_shows_where_the_focus_is(page):
    reached = []
    for _ in range(6):
        page.press("Tab")
        reached.append(
            page.run("document.activeElement.getAttribute('href') || document.activeElement.id")
        )
    assert reached == ["strip", *(f"#frame-{rank}" for rank in (5, 2, 4, 1, 3))]
    page.run("document.getElementById('strip').focus()")
    shown = page.run("getComputedStyle(document.getElementById('strip')).outlineStyle")
    assert shown == "solid"


def test_enter_on_a_mark_goes_to_its_frame(page):
    for _ in range(3):
        page.press("Tab")
    page.press("Enter")
    assert page.run(FOCUS) == "frame-2"


def coloured(page):
    """Count the pixels of the first key frame's saliency that are not grey."""
    x, y, width, height = map(
        round,
        page.run(
            "(b => [b.x, b.y, b.width, b.height])(document.querySelector('#frame-1 .stack')"
            ".getBoundingClientRect())"
        ),
    )
    red, _, blue = np.moveaxis(page.picture()[y : y + height, x : x + width].astype(int), 2, 0)
    assert red.size > 10_000
    return np.count_nonzero(np.abs(red - blue) > 24)


def test_the_slider_fades_the_saliency_down_to_the_original(page):
    page.run("document.getElementById('opacity').focus()")
    page.run("document.getElementById('frame-1').scrollIntoView()")
    whole = coloured(page)
    page.press("Home")
    assert page.run("document.getElementById('shown').textContent") == "0%"
    page.run("document.getElementById('frame-1').scrollIntoView()")
    assert whole > 1000
    assert coloured(page) == 0


def test_without_a_script_the_page_shows_every_picture(browser):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(browser.address)
    browser.until("document.readyState == 'complete'")
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.run("[...document.images].filter(i => i.naturalWidth).length") == 11
    assert browser.run("document.getElementById('fade').hidden")
