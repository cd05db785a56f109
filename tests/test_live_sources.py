"""Live sources by their address, and recordings played at their own pace."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from stream.clock import MS, now_ns
from stream.errors import SourceError, UsageError
from stream.sources.live.address import device_number, endpoint_of, kind_of
from stream.sources.live.open import LiveOptions, open_live, shown_address
from stream.sources.live.paced import MAX_LATE_NS, Pace, PacedGrabber
from stream.sources.live.progress import is_new_buffer
from tests.clips import write_clip

pytestmark = pytest.mark.timeout(60)

SECOND = 1000 * MS


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("paced") / "clip.mp4", 30)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("phantom:kidney?seed=7", "paced"),
        (".", "paced"),
        ("device:0", "device"),
        ("/dev/video12", "device"),
        ("rtsp://host/path", "network"),
        ("RTSPS://host/path", "network"),
        ("tcp://127.0.0.1:5000", "network"),
        ("udp://@239.0.0.1:5000", "network"),
        ("https://host/x", "network"),
        ("igtl://host:18944?device=Probe", "igtl"),
    ],
)
def test_the_address_chooses_the_kind(address: str, kind: str):
    assert kind_of(address) == kind


@pytest.mark.parametrize("address", ["", "no-such-file.mp4", "file:///x", "ftp://h/x", "device:x"])
def test_any_other_address_is_a_usage_error_that_lists_what_is_accepted(address: str):
    with pytest.raises(UsageError, match="rtsp") as caught:
        open_live(address)
    assert "device:N" in str(caught.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:s3cret@host:554/a/b", "rtsp://host:554/a/b"),
        ("rtsp://user:s3@cret@host/a", "rtsp://host/a"),
        ("rtsp://user:s3/cret@host/a", "rtsp://host/a"),
        ("http://host/a?token=s3cret#s3cret", "http://host/a"),
        ("http://user:s3?cret@host/a", "http://host/a"),
        ("rtsp://host/user=admin&password=s3cret/x", "rtsp://host/.../x"),
        ("igtl://host:18944?device=Probe", "igtl://host:18944"),
        ("ftp://user:s3cret@host/a", "ftp://host/a"),
        ("http://host/a\x1b[2J\nb", "http://host/a?[2J?b"),
        ("/data/patient/scan.mp4", "scan.mp4"),
        ("phantom:kidney?seed=7", "phantom:kidney?seed=7"),
        ("device:3", "device:3"),
    ],
)
def test_people_see_no_user_password_or_query(address: str, shown: str):
    assert shown_address(address) == shown


def test_an_address_is_taken_apart():
    assert endpoint_of("igtl://host?device=My%20Probe") == ("igtl", "host", 18944, "My Probe")
    assert endpoint_of("rtsp://u:p@[::1]/x")[:3] == ("rtsp", "::1", 554)
    assert device_number("/dev/video12") == device_number("device:12") == 12


@pytest.mark.parametrize(
    "wrong", [{"open_s": 0.0}, {"silence_s": float("nan")}, {"pixel_format": "MJPEG"}]
)
def test_senseless_options_are_usage_errors(wrong: dict[str, float]):
    with pytest.raises(UsageError):
        LiveOptions(**wrong)


def test_f12_a_repeated_stamp_is_no_new_buffer_unless_there_is_no_clock():
    assert is_new_buffer(None, 5)
    assert not is_new_buffer(5, 5)
    assert is_new_buffer(5, 6)
    assert is_new_buffer(0, 0)


def test_f19_a_stamp_that_goes_back_or_leaps_is_a_new_buffer():
    assert is_new_buffer(10**15, 5) and is_new_buffer(5, 10**15)


def test_the_pace_follows_the_time_stamps():
    pace = Pace(40 * MS)
    due = [pace.due_ns(pts, SECOND) for pts in (0, 10 * MS, 100 * MS)]
    assert due == [SECOND, SECOND + 10 * MS, SECOND + 100 * MS]


def test_f19_the_pace_takes_the_period_where_time_is_absent_goes_back_or_leaps():
    pace = Pace(40 * MS)
    stamps = (None, None, 5 * SECOND, 2 * SECOND, 24 * 3600 * SECOND)
    due = [pace.due_ns(pts, SECOND) for pts in stamps]
    assert [b - a for a, b in itertools.pairwise(due)] == [40 * MS] * 4


def test_the_pace_catches_up_a_little_and_never_more():
    pace = Pace(40 * MS)
    pace.due_ns(0, SECOND)
    assert pace.due_ns(40 * MS, 2 * SECOND) == 2 * SECOND - MAX_LATE_NS
    assert pace.due_ns(80 * MS, 2 * SECOND) == 2 * SECOND - MAX_LATE_NS + 40 * MS


def test_a_recording_is_played_whole_at_its_own_rate(clip: Path):
    with open_live(str(clip)) as grabber:
        assert isinstance(grabber, PacedGrabber) and grabber.index == -1
        pictures = []
        while (picture := grabber.grab()) is not None:
            assert grabber.index == len(pictures) and picture.captured_ns <= now_ns()
            pictures.append(picture)
        assert grabber.opening == 0
    assert [p.pts_ns for p in pictures] == [round(n * 1e9 / 30) for n in range(30)]
    early_ns = [
        round(n * 1e9 / 30) - (picture.captured_ns - pictures[0].captured_ns)
        for n, picture in enumerate(pictures)
    ]
    assert max(early_ns) < MAX_LATE_NS  # never ahead of time by more than what is caught up
    assert pictures[-1].captured_ns - pictures[0].captured_ns > 0.6 * SECOND
    assert (grabber.info.kind, grabber.info.rate_hz) == ("paced", 30.0)
    assert grabber.info.repeatable and grabber.info.name == "clip.mp4"


def test_a_recording_in_a_loop_starts_again_and_says_so(clip: Path):
    with PacedGrabber(str(clip), LiveOptions(loop=True)) as grabber:
        places, pictures = [], []
        for _ in range(35):
            pictures.append(grabber.grab())
            places.append((grabber.opening, grabber.index))
        assert grabber.info.repeatable
    assert places == [(0, n) for n in range(30)] + [(1, n) for n in range(5)]
    assert np.array_equal(pictures[0].pixels.planes[0], pictures[30].pixels.planes[0])
    captured = [picture.captured_ns for picture in pictures]
    assert captured == sorted(captured)


def test_a_phantom_is_played_at_its_rate():
    with open_live("phantom:kidney?seconds=0.4&rate_hz=10&size=128x128") as grabber:
        pictures = [grabber.grab() for _ in range(4)]
        assert grabber.grab() is None
    assert pictures[3].captured_ns - pictures[0].captured_ns > 0.2 * SECOND


def test_a_closed_recording_gives_an_error_and_not_the_end(clip: Path):
    grabber = PacedGrabber(str(clip), LiveOptions())
    grabber.grab()
    grabber.close()
    grabber.close()
    with pytest.raises(SourceError, match="closed"):
        grabber.grab()


def test_f10_a_reader_that_dies_in_the_middle_is_lost_and_not_the_end(fakes):
    grabber = PacedGrabber("phantom:/killed", LiveOptions())
    with pytest.raises(SourceError, match="ended by") as caught:
        while grabber.grab() is not None:
            pass
    grabber.close()
    assert caught.value.fault == "F10"


def test_v22_a_list_in_a_file_is_not_followed(tmp_path: Path):
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n")
    with pytest.raises(SourceError) as caught:
        open_live(str(playlist))
    assert caught.value.fault == "V22"
