"""What the review page shows while it seeks and plays, and while its film is being made."""

import numpy as np
import pytest

from tests.review_pages import ABSENT, NEEDS_BROWSER, PICTURED, SMALL, call, enter, labels, shown
from tests.review_sessions import analyse, make_session, reviewing, write_uneven

pytest_plugins = ["tests.review_browser"]
pytestmark = [pytest.mark.timeout(240), NEEDS_BROWSER]


def test_every_frame_that_is_asked_for_is_the_frame_on_the_screen(page, session):
    with reviewing(session, "--reader", "seek") as review:
        enter(page, review)
        for frame in [*np.random.default_rng(1).integers(70, size=25).tolist(), 0, 69, 1, 68]:
            page.run(f"review.player.seek({frame}); review.player.settled()")
            assert (page.run("review.player.shown"), page.run(SMALL)) == (frame, frame)


def test_at_25_frames_a_second_every_seek_shows_its_frame_over_all_pieces(page, tmp_path):
    with reviewing(make_session(tmp_path, 140, 25.0), "--reader", "pal") as review:
        enter(page, review)
        places = np.random.default_rng(2).integers(140, size=10).tolist()
        for frame in [*places, 31, 32, 33, 31, 139, 96, 95, 0, 128]:  # 32 frames in a piece
            page.run(f"review.player.seek({frame}); review.player.settled()")
            assert (page.run("review.player.shown"), page.run(SMALL)) == (frame, frame)
        assert page.run("document.getElementById('frame-place').innerText").startswith(
            "Frame 128 · 5.12 s"
        )


def test_playing_goes_over_the_pieces_to_the_end_and_begins_again(page, session):
    with reviewing(session, "--reader", "over") as review:
        enter(page, review)
        page.run(
            "window.seen = []; review.player.addEventListener('frame', () =>"
            " review.player.playing && seen.push(review.player.shown))"
        )
        page.press(" ")
        page.until("seen.at(-1) === 69 && !review.player.playing")
        seen = page.run("seen")
        assert seen == sorted(seen)
        assert len({frame // 32 for frame in seen}) == 3
        assert (shown(page), page.run(SMALL)) == (69, 69)
        page.press(" ")
        page.until("review.player.playing && review.player.shown < 20")


@pytest.fixture(scope="module")
def long_session(tmp_path_factory):
    return make_session(tmp_path_factory.mktemp("long"), 1200)


def test_the_film_can_be_watched_while_it_is_made_and_says_how_much_is_there(page, long_session):
    with reviewing(long_session, "--reader", "early", "--blind") as review:
        with review.decoder_stopped():
            page.open(review.address)
            page.until(PICTURED)
            assert page.run(SMALL) == 0
            page.until(
                "/^[0-9]+% of the film is there/.test(document.getElementById('badge').innerText)"
            )
            page.press("ArrowRight")
            page.press("1")
            assert call(page, "0:1")["label"] == "blue"
            page.press("End")
            page.until(ABSENT)
            assert "is being made" in page.run("document.getElementById('absent').innerText")
            page.press("2")
            page.until("document.getElementById('alert').innerText.includes('cannot be seen yet')")
            page.log.clear()  # the browser logs the answer 409
        page.until("!document.querySelector('#absent:not([hidden])')")
        assert (shown(page), page.run(SMALL)) == (1199, 1199)
        page.press("2")
        assert call(page, "0:1199")["label"] == "red"


def test_uneven_times_and_an_odd_size_keep_every_frame(page, tmp_path):
    times = [0, 1, 2, 40, 41, 500, 503, 2500, 2501, 2502, 2600]
    clip = write_uneven(tmp_path / "uneven.mkv", times, (321, 241))
    with reviewing(analyse(clip, tmp_path), "--reader", "vfr") as review:
        enter(page, review)
        for frame in [10, 0, 5, 8, 2, 7, 1, 9, 3, 6, 4]:
            page.run(f"review.player.seek({frame}); review.player.settled()")
            assert (page.run("review.player.shown"), page.run(SMALL)) == (frame, frame)


def test_a_label_given_while_playing_is_that_of_the_frame_that_stays(page, session):
    with reviewing(session, "--reader", "play") as review:
        enter(page, review)
        page.press(" ")
        page.until("review.player.playing && review.player.shown > 5")
        page.press("2")
        page.until("Object.keys(review.labels().calls).length === 1")
        frame = shown(page)
        assert page.run(SMALL) == frame
        assert list(labels(page)["calls"]) == [f"0:{frame}"]


def test_a_click_on_the_timeline_goes_there(page, session):
    with reviewing(session, "--reader", "time") as review:
        enter(page, review)
        page.click("#timeline", 0.5, 0.5)
        assert 30 <= shown(page) <= 38
