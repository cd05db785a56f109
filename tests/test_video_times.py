"""Video files: times, places and names, by the ids V18 to V24."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from stream.sources.base import Problem
from stream.sources.video import open_video
from stream.sources.video_audit import ClipAudit
from tests.clips import (
    copy_packets,
    cut,
    overwrite,
    write_clip,
)
from tests.video_reading import read, refusal


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 90)


@pytest.mark.parametrize("step_ms", [5000, 1, 77])
def test_v18_time_of_each_frame_is_its_own(tmp_path: Path, step_ms: int):
    def restamp(number: int, packet: av.Packet[av.VideoStream]) -> av.Packet[av.VideoStream]:
        packet.time_base = Fraction(1, 1000)
        packet.duration = step_ms
        packet.pts = packet.dts = number * step_ms + (number % 2 if step_ms > 1 else 0)
        return packet

    whole = write_clip(tmp_path / "a.mkv", 12, codec="mjpeg", pix_fmt="yuvj420p")
    _, shown, problems = read(copy_packets(whole, tmp_path / "b.mkv", restamp))
    odd = step_ms > 1
    expected = [(n * step_ms + (n % 2 if odd else 0)) * 1_000_000 for n in range(12)]
    assert [picture.pts_ns for picture in shown] == expected and problems == {}


def test_v18_above_1000_frames_per_second_is_refused(tmp_path: Path):
    def rush(number: int, packet: av.Packet[av.VideoStream]) -> av.Packet[av.VideoStream]:
        packet.time_base, packet.pts, packet.dts = Fraction(1, 90_000), number * 9, number * 9
        packet.duration = 9
        return packet

    whole = write_clip(tmp_path / "a.mov", 12, codec="mjpeg", pix_fmt="yuvj420p")
    assert refusal(copy_packets(whole, tmp_path / "b.mov", rush)).fault == "V18"


def test_v19_missing_times_are_warned(tmp_path: Path):
    _, shown, problems = read(write_clip(tmp_path / "a.h264", 10))
    assert len(shown) == 10 and not problems["V19"].partial
    assert problems["V19"].text == "10 of 10 frames have no time"


def test_v19_time_running_back_and_holes_are_warned():
    audit = ClipAudit(0, None)
    for place_s in (0, 1, 2, 0, 1, 86_400, 86_401):
        audit.add(place_s * 10**9, 0, None)
    (problem,) = audit.problems(None)
    assert problem.text == (
        "time stands still or runs back 1 times; 1 holes in time, the longest 86399 s"
    )
    assert not problem.partial


def test_v19_absurd_frame_count_is_not_believed(tmp_path: Path):
    whole = write_clip(tmp_path / "a.avi", 5, codec="mjpeg", pix_fmt="yuvj420p")
    place = whole.read_bytes().index(b"strh") + 40
    lying = overwrite(whole, tmp_path / "b.avi", place, b"\xff\xff\xff\x7f")
    info, shown, _ = read(lying)
    assert len(shown) == 5 and info.frame_count == 2**31 - 1


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mkv"), ("mpeg4", "avi")])
def test_v20_without_key_frames_nothing_is_shown(tmp_path: Path, codec: str, suffix: str):
    def drop_keys(
        number: int, packet: av.Packet[av.VideoStream]
    ) -> av.Packet[av.VideoStream] | None:
        return None if packet.is_keyframe else packet

    def no_b_frames(stream: av.VideoStream) -> None:
        stream.codec_context.max_b_frames = 0

    whole = write_clip(tmp_path / f"a.{suffix}", 30, codec=codec, prepare=no_b_frames)
    error = refusal(copy_packets(whole, tmp_path / f"b.{suffix}", drop_keys))
    assert error.fault == "V20" and "no key frame" in error.problem


def test_v20_frames_before_the_first_key_frame_are_left_out(tmp_path: Path):
    whole = write_clip(tmp_path / "a.avi", 30, codec="mpeg4")
    headless = copy_packets(whole, tmp_path / "b.avi", lambda n, p: None if n == 0 else p)
    _, shown, problems = read(headless)
    assert len(shown) == 20 and problems["V20"].partial


@pytest.mark.timeout(20)
def test_v21_only_regular_readable_files_are_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo.mp4")
    (tmp_path / "broken.mp4").symlink_to("nowhere")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    paths = [tmp_path, *tmp_path.iterdir(), "/dev/zero", "absent.mp4", "a\0b.mp4", "x" * 300]
    assert {refusal(path).fault for path in paths} == {"V21"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_v21_unreadable_file_is_refused(clip: Path, tmp_path: Path):
    path = cut(clip, tmp_path / "a.mp4", 10**6)
    path.chmod(0)
    assert refusal(path).fault == "V21"


LISTS: list[Callable[[str], str]] = [
    lambda url: f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
    lambda url: f"ffconcat version 1.0\nfile '{url}/a.mp4'\n",
    lambda url: f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=video 9 {url}\r\n",
    lambda url: f"[playlist]\nFile1={url}/a.mp4\nNumberOfEntries=1\n",
    lambda url: f'<?xml version="1.0"?>\n<MPD><BaseURL>{url}</BaseURL></MPD>\n',
]


@pytest.mark.parametrize("make", LISTS)
@pytest.mark.parametrize("suffix", ["mp4", "m3u8"])
def test_v22_lists_are_refused_and_nobody_is_called(
    tmp_path: Path, make: Callable[[str], str], suffix: str
):
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        (tmp_path / f"a.{suffix}").write_text(make(f"http://127.0.0.1:{canary.getsockname()[1]}"))
        assert refusal(tmp_path / f"a.{suffix}").fault == "V22"
        with pytest.raises(BlockingIOError):
            canary.accept()


def test_v22_list_that_hides_behind_other_bytes_reaches_nothing(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        url = f"http://127.0.0.1:{canary.getsockname()[1]}"
        (tmp_path / "a.m3u8").write_text("# a comment first\n" + LISTS[0](url) * 20)
        assert refusal(tmp_path / "a.m3u8").exit_code == 3
        with pytest.raises(BlockingIOError):
            canary.accept()


@pytest.mark.parametrize(
    "name",
    ["-i.mp4", "%05d.mp4", "a\nb.mp4", "Ünïcödé 超音波.mp4", "x" * 251 + ".mp4", "a\udcff.mp4"],
)
def test_v23_awkward_names_work(clip: Path, tmp_path: Path, name: str):
    path = cut(clip, tmp_path / name, 10**6)
    info, shown, _ = read(path)
    assert len(shown) == 90 and info.name.isprintable()


def test_v24_change_while_reading_is_told(clip: Path, tmp_path: Path):
    path = cut(clip, tmp_path / "a.mp4", 10**6)
    reader = open_video(str(path))
    for number, _ in enumerate(reader.pictures()):
        if number == 10:
            with path.open("ab") as file:
                file.write(b"more")
    reader.close()
    assert Problem("V24", "the file changed while it was read", True) in reader.problems
