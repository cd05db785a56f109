"""The review page in a real browser, by keyboard and mouse; `make system-deps` installs one."""

import json
from pathlib import Path

import pytest

from stream.review.chain import read_chain
from stream.review.export import Wish, export_labels
from tests.review_pages import NEEDS_BROWSER, READY, STILL, call, enter, labels, shown
from tests.review_sessions import (
    analyse,
    given_to,
    reviewing,
    write_browser,
)
from train.data.samples import read_frames

REAL = Path("../shared/data/clips/clarius-ocular-short.mp4")
SHOTS = None  # a folder here keeps the screenshots
OVERLAY = "!document.getElementById('map').hidden"

pytest_plugins = ["tests.review_browser"]
pytestmark = [pytest.mark.timeout(240), NEEDS_BROWSER]


def trail(session, reader):
    folder = session.with_name(f"{session.name}.review")
    return [r for r in read_chain(folder / f"{reader}.jsonl").records if r.what != "open"]


def test_the_token_leaves_the_address_and_the_page_can_be_loaded_again(page, session):
    with reviewing(session, "--reader", "addr") as review:
        enter(page, review)
        assert page.run("location.href") == f"http://127.0.0.1:{review.port}/"
        page.call("Page.reload")
        page.until(READY)
        assert page.run("document.cookie") == ""


def test_the_local_page_that_a_browser_is_given_lets_it_in(page, session, tmp_path):
    browser = write_browser(tmp_path)
    with reviewing(session, "--reader", "local", browser=browser) as review:
        page.open(given_to(browser))
        page.until(READY)
        assert page.run("location.href") == f"http://127.0.0.1:{review.port}/"
        page.press("1")
        assert call(page, "0:0")["label"] == "blue"


def test_a_quick_hand_judges_the_frame_that_was_asked_for(page, session):
    with reviewing(session, "--reader", "quick") as review:
        enter(page, review)
        for key in ("ArrowRight", "1", "ArrowRight", "2", "ArrowRight", "x"):
            page.press(key)
        page.until("Object.keys(review.labels().calls).length === 3")
        assert call(page, "0:1")["label"] == "blue"
        assert call(page, "0:2")["label"] == "red"
        assert call(page, "0:3")["decision"] == "rejected"


def test_the_keyboard_does_everything(page, session):
    with reviewing(session, "--reader", "keys") as review:
        enter(page, review)
        for key, shift, expected in (
            ("ArrowRight", False, 1),
            ("ArrowRight", True, 11),
            ("ArrowLeft", False, 10),
            ("ArrowLeft", True, 0),
            ("End", False, 69),
            ("Home", False, 0),
        ):
            page.press(key, shift=shift)
            assert shown(page) == expected
        page.press("2")
        assert call(page, "0:0") == {"decision": "labelled", "label": "red"}
        page.press("a")
        page.until("review.labels().calls['0:0'].decision === 'accepted'")
        page.press("u")
        page.until("review.labels().calls['0:0'].decision === 'labelled'")
        page.press("ArrowRight")
        page.press("x")
        assert call(page, "0:1") == {"decision": "rejected", "label": ""}
        page.press("2", shift=True)
        assert call(page, "clip") == {"decision": "labelled", "label": "red"}
        page.press("c", shift=True)
        page.until("!review.labels().calls.clip")
        page.press("a", shift=True)
        assert call(page, "clip")["decision"] == "accepted"
        page.press("x", shift=True)
        page.until("review.labels().calls.clip.decision === 'rejected'")
        page.press("n", shift=True)
        page.until("document.getElementById('note-dialog').open")
        page.write("of the clip")
        page.press("Enter", ctrl=True)
        page.until("review.labels().notes.clip === 'of the clip'")
        page.press("n")
        page.until("document.getElementById('note-dialog').open")
        page.write("see 1 a x k")
        page.press("Enter", ctrl=True)
        page.until("review.labels().notes['0:1'] === 'see 1 a x k'")
    said = [(record.what, record.target) for record in trail(session, "keys")]
    assert said == [
        ("label", (0, 0)),
        ("accept", (0, 0)),
        ("undo", (0, 0)),
        ("reject", (0, 1)),
        ("label", None),
        ("clear", None),
        ("accept", None),
        ("reject", None),
        ("note", None),
        ("note", (0, 1)),
    ]


def test_key_frames_saliency_and_help_answer_to_their_keys(page, session):
    with reviewing(session, "--reader", "key2") as review:
        review.wait_for("maps")
        enter(page, review)
        places = sorted(
            k["index"] for k in json.loads(review.ask("GET", "/api/clip")[1])["said"]["keys"]
        )
        page.press("k")
        assert shown(page) == places[0]
        page.press("ArrowDown")
        assert shown(page) == places[1]
        page.press("j")
        assert shown(page) == places[0]
        page.press("h")
        page.until(OVERLAY)
        page.press("ArrowRight")
        page.until(OVERLAY)
        page.press("h")
        page.until("document.getElementById('map').hidden")
        page.press("?")
        page.until("document.getElementById('help').open")
        page.press("Escape")
        page.until("!document.getElementById('help').open")


def test_space_after_a_click_plays_and_presses_no_button_twice(page, session):
    with reviewing(session, "--reader", "mouse") as review:
        enter(page, review)
        page.click("#frame-choices button")
        assert call(page, "0:0") == {"decision": "labelled", "label": "blue"}
        page.press(" ")
        page.until("review.player.playing")
        page.press(" ")
        page.until(STILL)
    assert [record.what for record in trail(session, "mouse")] == ["label"]


def test_a_save_that_fails_is_said_and_the_label_is_not_shown(page, session):
    with reviewing(session, "--reader", "gone") as review:
        enter(page, review)
        review.end()
        page.press("2")
        page.until("document.getElementById('alert').textContent.startsWith('NOT SAVED')")
        assert labels(page)["calls"] == {}
        page.log.clear()  # the browser logs the connection that was refused


def test_nothing_of_the_model_is_on_the_page_of_a_blind_reader(page, session):
    with reviewing(session, "--reader", "blind", "--blind") as review:
        enter(page, review)
        text = page.run("document.body.innerText")
        assert "Model" not in text
        assert "Accept" not in text
        page.press("h")
        page.press("k")
        assert page.run("document.getElementById('map').hidden")
        page.press("1")
        assert call(page, "0:0")["label"] == "blue"


@pytest.mark.parametrize("size_wh", [(1280, 720), (1920, 1080)])
def test_all_of_the_page_fits_the_screen(page, session, size_wh):
    with reviewing(session, "--reader", "size") as review:
        page.resize(*size_wh)
        enter(page, review)
        page.press("1")
        call(page, "0:0")
        assert (
            page.run(
                "[...document.querySelectorAll('button, canvas, video, h1, h2, p, output')]"
                ".filter((e) => !e.hidden && e.offsetParent && !e.closest('#list, dialog'))"
                ".filter((e) => { const b = e.getBoundingClientRect(); return b.right > innerWidth"
                " || b.bottom > innerHeight || b.left < 0 || b.top < 0; }).map((e) => e.outerHTML)"
            )
            == []
        )


@pytest.mark.parametrize("size_wh", [(1280, 720), (1280, 800), (1920, 1080)])
def test_name_verdict_and_the_rows_of_judged_frames_are_not_cut(page, session, size_wh):
    with reviewing(session, "--reader", "cut") as review:
        page.resize(*size_wh)
        enter(page, review)
        page.run(
            "document.getElementById('name').textContent = 'Right kidney, longitudinal '.repeat(3)"
        )
        for _ in range(5):
            page.press("1")
            page.press("ArrowRight")
        page.until("Object.keys(review.labels().calls).length === 5")
        for name in ("name", "verdict"):
            assert page.run(
                f"(e => e.scrollHeight - e.clientHeight)(document.getElementById('{name}'))"
            ) == pytest.approx(0, abs=1)
        rows = page.run(
            "(([list, row]) => list / row)(['#list', '#list li']"
            ".map((e) => document.querySelector(e).getBoundingClientRect().height))"
        )
        assert rows > 3.9
        assert rows == pytest.approx(round(rows), abs=0.1)


@pytest.mark.parametrize("what", [pytest.param("real", marks=pytest.mark.slow), "phantom"])
def test_labels_of_a_real_review_go_into_training_unchanged(page, tmp_path, what):
    if what == "real" and not REAL.exists():
        pytest.skip("the shared clips are not here")
    address = "phantom:kidney?seed=21&seconds=1&finding=dilated&size=320x240"
    folder = analyse(str(REAL) if what == "real" else address, tmp_path)
    with reviewing(folder, "--reader", "anna", "--group", "P1") as review:
        enter(page, review)
        page.press("ArrowRight")
        shown(page)
        page.press("1")
        call(page, "0:1")
        page.click("#timeline", 0.9, 0.5)
        last = shown(page)
        page.press("2")
        call(page, f"0:{last}")
        picture = page.picture(SHOTS and SHOTS / f"{what}.png")
        assert picture[150:400, 200:700].std() > 5
    wish = Wish("anna", tmp_path / "out", accept_text="test: an ocular phantom")
    assert export_labels([folder], wish, lambda done: None) == 2
    samples = read_frames(tmp_path / "out", ("blue", "red"))
    assert [(sample.label, sample.group) for sample in samples] == [(0, "P1"), (1, "P1")]
