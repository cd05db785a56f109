"""Clips begun at a place within: picture by picture what a reading from the start gives, or all."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import av
import pytest

from stream.sources.base import Picture
from stream.sources.open import SourceOptions, open_source
from stream.sources.video import VideoReader, open_video
from tests.clips import copy_packets, cut, write_clip

COUNT = 48  # and a key frame each ten
PLACES = [*range(1, COUNT, 3), COUNT - 1]
ORIENTATION = b"\0\0\0\5\x06\x2f\x01\x80\x80"  # a message that may turn all that follows
X265 = {"x265-params": "open-gop=1:bframes=2:keyint=10:min-keyint=10:log-level=none"}


def encode(path: Path, codec: str = "libx264", **options: str) -> Path:
    """Write a clip of `COUNT` pictures."""

    def prepare(stream: av.VideoStream) -> None:
        stream.options = X265 if codec == "libx265" else options

    return write_clip(path, COUNT, codec=codec, prepare=prepare)


def shown(reader: VideoReader) -> list[tuple[int | None, str | None, bytes]]:
    """Return time, damage and content of all pictures."""
    try:
        return [_facts(picture) for picture in reader.pictures()]
    finally:
        reader.close()


def whole_of(path: Path) -> list[tuple[int | None, str | None, bytes]]:
    """Read a clip from its start."""
    return shown(open_video(str(path)))


def _facts(picture: Picture) -> tuple[int | None, str | None, bytes]:
    content = b"".join(plane.tobytes() for plane in picture.pixels.planes)
    return picture.pts_ns, picture.damage, content


def begun(path: Path, whole: list[tuple[int | None, str | None, bytes]]) -> list[int]:
    """Begin at each of `PLACES`; return where it begins, having compared all that comes."""
    found = []
    for index in PLACES:
        part = shown(open_video(str(path), start_ns=whole[index][0]))
        found.append(len(whole) - len(part))
        assert part == whole[found[-1] :], f"begun at {index}"
    return found


def replaced(path: Path, target: Path, change: Callable[[int, bytes], bytes]) -> Path:
    """Copy a clip with other data in its packets."""

    def copy(number: int, packet: av.Packet[av.VideoStream]) -> av.Packet[av.VideoStream]:
        made: av.Packet[av.VideoStream] = av.Packet(change(number, bytes(packet)))
        made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
        made.is_keyframe = packet.is_keyframe
        return made

    return copy_packets(path, target, copy)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"bf": "3"}),
        ("libx264", {"bf": "3", "x264-params": "open-gop=1:b-pyramid=normal"}),
        ("libx265", {}),
    ],
    ids=["closed", "open", "hevc-open"],
)
def test_every_picture_can_be_begun_at(tmp_path: Path, name: str, codec: str, options: dict):
    path = encode(tmp_path / name, codec, **options)
    whole = whole_of(path)
    assert len(whole) == COUNT
    assert begun(path, whole) == PLACES


def test_only_what_the_picture_needs_is_decoded(tmp_path: Path):
    path = encode(tmp_path / "a.mp4", bf="2")
    whole = whole_of(path)
    with closing(open_video(str(path), start_ns=whole[43][0])) as reader:
        assert reader._packets.count > 40
        assert reader._begun is not None and len(reader._begun.packets) <= 8  # from 40 on


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [("a.avi", "mjpeg", "yuvj420p"), ("a.mkv", "ffv1", "yuv420p"), ("a.avi", "mpeg4", "yuv420p")],
)
def test_a_codec_whose_entries_are_not_known_comes_whole(tmp_path, name, codec, pix_fmt):
    path = write_clip(tmp_path / name, COUNT, codec=codec, pix_fmt=pix_fmt)
    assert begun(path, whole_of(path)) == [0] * len(PLACES)


def test_interlaced_pictures_come_whole_for_each_is_made_with_its_neighbours(tmp_path: Path):
    path = encode(tmp_path / "a.mp4", flags="+ildct", **{"x264-params": "tff=1"})
    assert begun(path, whole_of(path)) == [0] * len(PLACES)


def test_a_clip_that_was_cut_comes_whole(tmp_path: Path):
    whole = encode(tmp_path / "a.mp4")
    path = cut(whole, tmp_path / "b.mp4", whole.stat().st_size * 3 // 4)
    assert [len(shown(open_video(str(path), start_ns=n * 10**8))) for n in (0, 3, 6)] == [
        len(whole_of(path))
    ] * 3


def test_a_time_that_no_picture_has_gives_the_whole(tmp_path: Path):
    path = encode(tmp_path / "a.mp4")
    for start_ns in (-1, 1, 10**12):
        assert len(shown(open_video(str(path), start_ns=start_ns))) == COUNT


def test_a_message_that_may_act_on_what_follows_is_not_passed_over(tmp_path: Path):
    def add(number: int, data: bytes) -> bytes:
        return ORIENTATION + data if number == 12 else data

    path = replaced(encode(tmp_path / "a.mp4", bf="0"), tmp_path / "b.mp4", add)
    found = dict(zip(PLACES, begun(path, whole_of(path)), strict=True))
    assert (found[7], found[31]) == (7, 0)


def test_what_an_old_build_of_x264_made_comes_whole_for_ffmpeg_must_know_of_it(tmp_path: Path):
    path = encode(tmp_path / "a.mp4", bf="0")
    old = re.sub(rb"x264 - core \d+", b"x264 - core 148", path.read_bytes())
    path.write_bytes(old)
    assert set(begun(path, whole_of(path))) == {0}


def test_parameter_sets_among_the_pictures_are_not_passed_over(tmp_path: Path):
    """The second half rests on a picture parameter set that came once, with the first of it."""
    first = encode(tmp_path / "a.mp4", bf="0")
    second = encode(tmp_path / "b.mp4", bf="0", **{"x264-params": "chroma-qp-offset=9"})
    with av.open(second) as container:
        sets = _sets(bytes(container.streams.video[0].codec_context.extradata or b""))
        units = [bytes(packet) for packet in container.demux(video=0)]

    def change(number: int, data: bytes) -> bytes:
        if number < 20:
            return data
        return (sets if number == 20 else b"") + units[number - 20]

    path = replaced(first, tmp_path / "c.mp4", change)
    whole = whole_of(path)
    with closing(open_video(str(path), start_ns=whole[45][0])) as reader:
        assert reader._begun is not None and len(reader._begun.packets) > 25
    assert begun(path, whole) == PLACES


def _sets(header: bytes) -> bytes:
    """Return the two parameter sets of an avcC box, each behind its length in four bytes."""
    size = int.from_bytes(header[6:8])
    sequence, rest = header[8 : 8 + size], header[9 + size :]
    picture = rest[2 : 2 + int.from_bytes(rest[:2])]
    return b"".join(len(unit).to_bytes(4) + unit for unit in (sequence, picture))


def test_reading_a_part_finds_no_fault_in_what_was_not_read(tmp_path: Path):
    path = encode(tmp_path / "a.mp4")
    with open_source(str(path), session="t", options=SourceOptions(start_ns=10**9)) as source:
        frames = [(frame.id.seq, frame.pts_ns) for frame in source]
        assert source.problems == ()
    assert frames[0] == (0, 10**9) and len(frames) == COUNT - 30


def test_a_clip_of_phantom_pictures_begins_with_its_first(tmp_path: Path):
    options = SourceOptions(start_ns=10**9)
    phantom = "phantom:kidney?seed=1&seconds=2&size=160x120"
    with open_source(phantom, session="t", options=options) as source:
        assert next(iter(source)).pts_ns == 0
