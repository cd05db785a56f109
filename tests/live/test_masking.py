"""What leaves capture of a scanner's screen: nothing outside the sector, anywhere (F17)."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack, closing

import msgspec
import numpy as np
import pytest

from engines.load import load_model
from engines.open import DEMO_MODEL, open_engine
from engines.pixels import Pixels
from stream.analysis.analyser import Analyser
from stream.clock import MS, now_ns
from stream.frame import Frame, FrameId
from stream.live.capture.masking import FIRST_LOOK, LOOK_SOON_NS, NEXT_LOOK, Masking
from stream.live.recorder.recording import read_recording
from stream.live.supervisor.role import Post
from stream.live.viewer.viewer import SNAPSHOTS, _Viewer
from stream.live.viewer.viewing import Viewing
from stream.live.wire.links import take_all
from stream.live.wire.messages import RoleStatus, Status
from stream.sector.masker import Masker
from stream.sector.outline import Sector
from stream.session.content import decode_png, was_masked
from stream.sources.live.base import Grabbed
from tests.live_cameras import AIR, LARGE, SMALL, in_air, scanner, screen_at
from tests.live_session import LiveSession
from tests.scanner_screens import text_screen

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def live(tmp_path):
    """Start sessions over a scanner's screen, masked, with the demonstration model."""
    with ExitStack() as stack:

        def start(source, **changes):
            changes = {"module": "tests.live_cameras", "mask": True} | changes
            session = LiveSession(tmp_path / "session", DEMO_MODEL, source, **changes)
            return stack.enter_context(session)

        yield start


class Keys:
    """A screen that shows nothing, and a user who asks for a snapshot."""

    def poll_keys(self):
        return ("s",)

    def picture_bgr(self):
        return None


def sectors(session):
    """Return cause, first seq and sector of each epoch in the journal."""
    query = "SELECT cause, first_seq, size_wh, box_xyxy, outline FROM epochs ORDER BY epoch"
    return [
        (cause, first, Sector(tuple(json.loads(box)), corners(outline), tuple(json.loads(size))))
        for cause, first, size, box, outline in session.rows(query)
    ]


def corners(outline):
    return tuple(tuple(corner) for corner in json.loads(outline))


def grey_of(picture):
    return picture if picture.ndim == 2 else picture[..., 0]


def shows_text(picture, sector, layout=LARGE):
    """Tell whether any of the names on a screen are left in what leaves of it."""
    left, top, right, bottom = sector.box_xyxy
    names = scanner(layout)[2][top:bottom, left:right]
    assert picture.shape[:2] == names.shape, "another part of the screen"
    assert names.sum() > 200, "a name beside the fan is in the box"
    assert grey_of(picture).max() > 100, "there is a picture"
    return bool(grey_of(picture)[names].any())


def test_a_name_on_the_screen_is_in_no_frame_key_frame_video_or_snapshot(live, tmp_path):
    session = live("fake:screens", record=True)
    session.until_current()
    pictures, seen = [], set()
    with Post(session.config, "viewer") as post:
        viewer = _Viewer(session.config, post, Keys(), session.frames)
        while len(pictures) < 10:
            for received in take_all(session.poller, 50):
                viewer.hear(received)
            frame = viewer._viewing.shown_frame
            if frame is not None and frame.id not in seen:
                seen.add(frame.id)
                pictures.append(frame.image)
        viewer.obey_keys()
        session.until(lambda _: any((session.folder / SNAPSHOTS).glob("*.png")))
    session.stop()
    (cause, _, sector), *more = sectors(session)
    assert cause == "started" and not more
    assert was_masked(session.folder, session.manifest)
    pictures += [decode_png(png) for (png,) in session.rows("SELECT image_png FROM ranked")]
    pictures += [decode_png(one.read_bytes()) for one in (session.folder / SNAPSHOTS).iterdir()]
    films = list(session.folder.glob("video-*.mkv"))
    pictures += [pixels.planes[0] for film in films for pixels in read_recording(film)]
    assert films and len(pictures) > 25
    assert not any(shows_text(picture, sector) for picture in pictures)
    assert screen_at(1)[scanner()[2]].all(), "the screen itself has names"
    waited = session.rows("SELECT first_seq, last_seq, name FROM losses ORDER BY first_seq")[0]
    assert (waited[0], waited[2]) == (0, "capture_drop") and waited[1] >= FIRST_LOOK - 2
    session.ledger()


def test_of_a_picture_that_is_not_masked_no_snapshot_is_kept(live):
    session = live("fake:steady", module="tests.live_fakes")
    session.until_banner("NOT MASKED")
    with Post(session.config, "viewer") as post:
        viewer = _Viewer(session.config, post, Keys(), session.frames)
        while viewer._viewing.shown_frame is None:
            for received in take_all(session.poller, 50):
                viewer.hear(received)
        viewer.obey_keys()
        query = "SELECT text FROM events WHERE kind = 'snapshot refused'"
        session.until(lambda _: session.rows(query))
    session.stop()
    assert not (session.folder / SNAPSHOTS).exists()
    claims = msgspec.structs.replace(session.manifest.live, masked=True)
    assert not was_masked(session.folder, msgspec.structs.replace(session.manifest, live=claims))


def test_f17_another_size_starts_an_epoch_with_its_own_sector_and_right_answers(live):
    session = live("fake:screens")
    session.until_current()
    session.kill("capture", signal.SIGUSR2)
    session.until_banner("FORMAT CHANGED")
    session.until(lambda view: view.current and session.seen_frames[-1].epoch == 1)
    verdict = session.viewing.scene(now_ns()).verdict
    assert verdict is None or verdict.cam.ndim == 2
    session.stop()
    (_, _, before), (cause, switch, after) = sectors(session)
    assert (before.size_wh, after.size_wh, cause) == (LARGE[0], SMALL[0], "format changed")
    for sector, layout in ((before, LARGE), (after, SMALL)):
        fan = scanner(layout)[1]
        assert (fan & ~sector.mask()).sum() < 0.02 * fan.sum()
        assert (scanner(layout)[2] & sector.mask()).sum() == 0
    query = "SELECT epoch, seq, probs FROM frames WHERE state = 'ok' AND epoch = {} LIMIT 3"
    rows = session.rows(query.format(0)) + session.rows(query.format(1))
    assert {epoch for epoch, _, _ in rows} == {0, 1}
    for _, seq, probs in rows:
        sector = after if seq >= switch else before
        expected = probs_of(screen_at(seq + 1, switch), sector)
        assert json.loads(probs) == pytest.approx(expected, abs=1e-4), "of another cut"
    session.ledger()


def test_f17_a_change_that_leaves_the_cut_as_large_is_told_all_the_same():
    viewing = Viewing("host", 250 * MS)
    for number, side in enumerate((720, 720, 768)):
        facts = {"format": f"(({side}, 1280),) bt601 True"}
        role = RoleStatus("up", "", 0, 0, 1, {}, facts)
        sent_ns = (number + 1) * 100 * MS
        viewing.see_status(
            Status(session="x", number=number, sent_ns=sent_ns, roles={"capture": role})
        )
        shown = [banner.title for banner in viewing.view(sent_ns).banners]
        assert ("FORMAT CHANGED" in shown) == (side == 768)


def probs_of(screen, sector):
    """Return what the model says of a screen cut to a sector."""
    pixels = Masker(sector).apply(Pixels((screen,)))
    with closing(open_engine(load_model(DEMO_MODEL), "onnxruntime")) as engine:
        return Analyser(engine).step(Frame(FrameId("x", 0, 0), pixels, 0, 0, "")).probs.tolist()


def test_f17_a_sector_that_grows_starts_an_epoch(live):
    session = live("fake:airs?look=1")
    session.until_current()
    small = session.seen_frames[-1].pixels.shapes
    session.kill("capture", signal.SIGUSR2)
    session.until(lambda view: view.current and session.seen_frames[-1].epoch == 1)
    assert session.seen_frames[-1].pixels.shapes != small
    session.stop()
    (_, _, before), (cause, _, after) = sectors(session)
    assert cause.startswith("the sector grew")
    assert after.mask().sum() > 1.5 * before.mask().sum()
    assert not (scanner()[2] & after.mask()).any()
    session.ledger()


def look_at(masking, pictures, start_ns=0, period_ns=40 * MS):
    """Return what masking says of each picture."""
    times = (start_ns + number * period_ns for number in range(len(pictures)))
    return [
        masking.look(Grabbed(Pixels((picture,)), time_ns, None))
        for picture, time_ns in zip(pictures, times, strict=True)
    ]


def test_nothing_leaves_before_the_sector_was_looked_for():
    shown = scanner()[0]
    masking = Masking(on=True)
    masking.begin(first=True)
    assert look_at(masking, shown) == ["waiting"] * (FIRST_LOOK - 1) + ["found"]
    masking.begin(first=False)
    assert look_at(masking, shown[:NEXT_LOOK]) == ["waiting"] * (NEXT_LOOK - 1) + ["found"]


def test_an_image_after_a_menu_is_cut_within_a_second_and_a_half():
    masking = Masking(on=True)
    masking.begin(first=True)
    look_at(masking, [text_screen(12)] * FIRST_LOOK)
    assert not masking.outline
    said = look_at(masking, scanner()[0] * 5, start_ns=FIRST_LOOK * 40 * MS)
    assert said.index("grown") * 40 * MS <= LOOK_SOON_NS * 1.5
    assert masking.outline


def test_without_a_mask_pictures_leave_whole_and_at_once():
    masking, screen = Masking(on=False), Pixels((screen_at(1),))
    masking.begin(first=True)
    assert look_at(masking, [screen_at(1)] * 2) == ["found", "same"]
    assert masking.apply(screen) is screen and masking.box_of(screen) == (0, 0, 1280, 720)


def test_the_air_hides_most_of_the_fan():
    inside = scanner()[1]
    lit = np.logical_and(in_air()[0] > 8, inside)
    assert 0 < lit.sum() < AIR * inside.sum()
