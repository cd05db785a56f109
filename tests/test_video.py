"""Video files: good ones exactly, bad ones by the ids of faults-and-bad-inputs.md."""

from __future__ import annotations

import gzip
import itertools
import os
import re
import resource
import socket
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.errors import SourceError, StreamError, UsageError
from stream.sources.base import Picture, Problem, SourceInfo
from stream.sources.video import open_video
from stream.sources.video_audit import ClipAudit
from tests.clips import (
    box_span,
    copy_packets,
    cut,
    flip,
    overwrite,
    pictures,
    write_audio,
    write_clip,
    write_two_streams,
)

DATA = Path("../shared/data")
REAL = sorted([*DATA.glob("pocus_lung/videos/*/*"), *DATA.glob("clips/*.mp4")])


def read(
    path: Path, stream_index: int | None = None
) -> tuple[SourceInfo, list[Picture], dict[str, Problem]]:
    reader = open_video(str(path), stream_index=stream_index)
    try:
        shown = list(reader.pictures())
        return reader.info, shown, {problem.fault: problem for problem in reader.problems}
    finally:
        reader.close()


def refusal(path: Path | str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        open_video(str(path)).close()
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 90)


@pytest.mark.slow
@pytest.mark.parametrize("path", REAL or [None], ids=lambda path: path.name if path else "absent")
def test_real_clips_agree_with_a_plain_decoder(path: Path | None):
    if path is None:
        pytest.skip(f"{DATA} is absent")
    reader, count = open_video(str(path)), 0
    with av.open(path) as container:
        for frame, shown in zip(container.decode(video=0), reader.pictures(), strict=True):
            assert shown.pts_ns == round(Fraction(frame.pts) * frame.time_base * 10**9)
            if count % 10 == 0 and frame.width == shown.pixels.shape_hw[1]:
                hd = frame.height >= 720 and frame.colorspace == 2
                rgb = frame.to_ndarray(format="rgb24", src_colorspace="ITU709" if hd else None)
                assert np.abs(shown.pixels.to_image().astype(int) - rgb).mean() < 2
            count += 1
    assert reader.problems == () and count > 20
    reader.close()


def test_every_frame_comes_in_order_with_its_exact_time(clip: Path):
    info, shown, problems = read(clip)
    assert [picture.pts_ns for picture in shown] == [round(n * 1e9 / 30) for n in range(90)]
    assert (info.size_wh, info.rate_hz, info.frame_count) == ((160, 120), 30.0, 90)
    assert problems == {} and len(info.sha256) == 64


def test_planes_are_the_decoders_own(clip: Path):
    _, shown, _ = read(clip)
    assert [plane.shape for plane in shown[0].pixels.planes] == [(120, 160), (60, 80), (60, 80)]
    assert not shown[0].pixels.planes[0].flags.owndata
    assert np.abs(shown[5].pixels.to_image().astype(int) - list(pictures(6))[5]).mean() < 8


def test_gif_shows_its_colours(tmp_path: Path):
    _, shown, problems = read(write_clip(tmp_path / "a.gif", 12, codec="gif", pix_fmt="gray"))
    assert len(shown) == 12 and problems == {}
    grey = list(pictures(12))[11].mean(axis=2)
    assert np.abs(shown[11].pixels.to_image().mean(axis=2) - grey).mean() < 4


def test_dropped_frames_of_an_avi_are_gaps_in_time_and_no_cut(tmp_path: Path):
    whole = write_clip(tmp_path / "a.mkv", 20, codec="mjpeg", pix_fmt="yuvj420p")
    lossy = copy_packets(whole, tmp_path / "b.avi", lambda n, p: None if n % 10 == 5 else p)
    info, shown, problems = read(lossy)
    assert len(shown) == 18 and (info.frame_count or 0) > 18
    assert list(problems) == ["V09"] and problems["V09"].text.startswith("2 of 20")


@pytest.mark.parametrize("content", [b"", b"\0"])
def test_v01_empty_file_has_no_header(tmp_path: Path, content: bytes):
    (tmp_path / "a.mp4").write_bytes(content)
    assert refusal(tmp_path / "a.mp4").fault == "V01"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (np.random.default_rng(1).bytes(5000), "unknown data"),
        (b"A report, not a clip.\n" * 50, "text"),
        (gzip.compress(np.random.default_rng(1).bytes(5000)), "gzip data"),
        (b"%PDF-1.7\n" + bytes(500), "a PDF document"),
        (bytes(5000), "zeros"),
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "txt", "avi", "h264"])
def test_v02_other_data_is_named(tmp_path: Path, content: bytes, named: str, suffix: str):
    (tmp_path / f"a.{suffix}").write_bytes(content)
    error = refusal(tmp_path / f"a.{suffix}")
    assert error.fault in ("V02", "V04", "V05")
    assert error.fault != "V02" or named in error.problem or "not a video" in error.problem


def test_v03_mp4_without_its_index_was_cut(tmp_path: Path):
    plain = copy_packets(write_clip(tmp_path / "a.mp4"), tmp_path / "b.mov", lambda n, p: p)
    error = refusal(cut(plain, tmp_path / "c.mp4", plain.stat().st_size // 2))
    assert error.fault == "V03" and "repair" in error.remedy


@pytest.mark.parametrize("size", [300, 500, 700])
def test_v04_cut_inside_the_first_bytes_has_no_decodable_frame(
    clip: Path, tmp_path: Path, size: int
):
    error = refusal(cut(clip, tmp_path / "a.mp4", size))
    assert error.fault == "V04" and "no decodable frame" in error.problem


def test_v05_index_without_frame_data_has_no_decodable_frame(clip: Path, tmp_path: Path):
    error = refusal(cut(clip, tmp_path / "a.mp4", box_span(clip, b"mdat")[0] + 20))
    assert error.fault == "V05" and "no decodable frame" in error.problem


@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx264", "mp4"), ("mpeg4", "avi"), ("ffv1", "mkv"), ("gif", "gif")]
)
def test_v06_cut_in_the_middle_is_partial(tmp_path: Path, codec: str, suffix: str):
    pix_fmt = "gray" if codec == "gif" else "yuv420p"
    whole = write_clip(tmp_path / f"a.{suffix}", 90, codec=codec, pix_fmt=pix_fmt)
    _, shown, problems = read(cut(whole, tmp_path / f"b.{suffix}", whole.stat().st_size // 2))
    assert 0 < len(shown) < 90 and problems["V06"].partial
    assert str(len(shown)) in problems["V06"].text


def test_v06_names_present_and_expected_frames(tmp_path: Path):
    whole = write_clip(tmp_path / "a.mp4", 90, codec="mjpeg", pix_fmt="yuvj420p")
    _, shown, problems = read(cut(whole, tmp_path / "b.mp4", whole.stat().st_size // 2))
    assert problems["V06"].text.startswith(f"{len(shown)} of 90 frames")


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("libx264", "mp4"), ("mpeg4", "avi"), ("mjpeg", "avi"), ("gif", "gif"), ("ffv1", "mkv")],
)
def test_v07_flipped_bytes_mark_the_frames_they_hit(tmp_path: Path, codec: str, suffix: str):
    pix_fmt = {"gif": "gray", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    whole = write_clip(tmp_path / f"a.{suffix}", 60, codec=codec, pix_fmt=pix_fmt)
    size = whole.stat().st_size
    span = (size // 2, size - 3000 if suffix in ("avi", "mkv") else size)
    _, shown, problems = read(flip(whole, tmp_path / f"b.{suffix}", 1, 400, span))
    damaged = [number for number, picture in enumerate(shown) if picture.damage]
    assert damaged and problems["V07"].partial
    assert f"{len(damaged)} damaged: " in problems["V07"].text


def test_v07_frames_predicted_from_damage_are_damaged_until_the_next_key_frame(tmp_path: Path):
    whole = write_clip(tmp_path / "a.avi", 30, codec="mpeg4")
    tags = [found.start() for found in re.finditer(b"00dc", whole.read_bytes())]
    fourth_frame = tags[4]  # the first tag belongs to the header
    _, shown, problems = read(overwrite(whole, tmp_path / "b.avi", fourth_frame + 16, b"\xff" * 40))
    assert [n for n, picture in enumerate(shown) if picture.damage] == list(range(3, 10))
    assert problems["V07"].text == "7 damaged: 3-9"


def test_v08_decoding_continues_after_a_zeroed_stretch(tmp_path: Path):
    whole = write_clip(tmp_path / "a.mkv", 90, codec="ffv1")
    size = whole.stat().st_size
    _, shown, problems = read(overwrite(whole, tmp_path / "b.mkv", size // 2, bytes(20_000)))
    assert shown[-1].pts_ns == 2_967_000_000 and len(shown) < 90
    assert problems["V09"].partial and f"of {90} frames are missing" in problems["V09"].text


def test_v09_missing_packets_are_found_by_the_clock(tmp_path: Path):
    whole = write_clip(tmp_path / "a.mkv", 90, codec="mjpeg", pix_fmt="yuvj420p")
    lossy = copy_packets(whole, tmp_path / "b.mkv", lambda n, p: None if n % 10 == 5 else p)
    _, shown, problems = read(lossy)
    assert len(shown) == 81
    assert problems["V09"] == Problem(
        "V09", "9 of 90 frames are missing by the clip's own clock", True
    )


def test_v09_variable_rate_is_no_loss():
    audit = ClipAudit(0, None)
    for place_ms in (0, 33, 80, 113, 180, 210, 300, 333):
        audit.add(place_ms * 1_000_000, 0, None)
    assert audit.problems(None) == ()


def test_v10_damaged_index_is_never_a_silent_short_run(clip: Path, tmp_path: Path):
    start, end = box_span(clip, b"moov")
    for seed in range(60):
        damaged = flip(clip, tmp_path / "a.mp4", seed, 30 if seed % 2 else 1, (start + 8, end))
        try:
            _, shown, problems = read(damaged)
        except StreamError as error:
            assert error.exit_code in (2, 3)
        else:
            assert len(shown) == 90 or any(problem.partial for problem in problems.values())


def test_v11_audio_alone_lists_its_streams(tmp_path: Path):
    error = refusal(write_audio(tmp_path / "a.mp4"))
    assert error.fault == "V11" and "0 audio" in error.problem


def test_v12_several_videos_need_a_choice(tmp_path: Path):
    path = write_two_streams(tmp_path / "a.mkv")
    with pytest.raises(UsageError, match="0 video, 1 video") as caught:
        open_video(str(path))
    assert caught.value.fault == "V12" and "--stream" in caught.value.remedy
    assert len(read(path, stream_index=1)[1]) == 5


@pytest.mark.parametrize("size_wh", [(2, 2), (62, 64), (160, 48)])
def test_v13_below_64_pixels_is_refused(tmp_path: Path, size_wh: tuple[int, int]):
    path = write_clip(tmp_path / "a.avi", 2, codec="rawvideo", size_wh=size_wh)
    assert refusal(path).fault == "V13"


def test_v13_single_frame_works(tmp_path: Path):
    _, shown, problems = read(write_clip(tmp_path / "a.mp4", 1))
    assert len(shown) == 1 and problems == {}


def test_v14_odd_size_works(tmp_path: Path):
    path = write_clip(tmp_path / "a.mkv", 3, codec="ffv1", size_wh=(641, 479))
    info, shown, _ = read(path)
    assert info.size_wh == (641, 479)
    assert [plane.shape for plane in shown[0].pixels.planes] == [(479, 641), (240, 321), (240, 321)]
    error = np.abs(shown[2].pixels.to_image().astype(int) - list(pictures(3, (641, 479)))[2])
    assert error[:, :-2].mean() < 8


def test_v14_huge_picture_is_refused(tmp_path: Path):
    path = write_clip(tmp_path / "a.avi", 1, codec="mpeg4", size_wh=(4112, 64))
    error = refusal(path)
    assert error.fault == "V14" and "4112x64" in error.problem


@pytest.mark.parametrize("side_px", [8192, 65535])
def test_v14_header_lying_about_the_size_allocates_nothing(tmp_path: Path, side_px: int):
    whole = write_clip(tmp_path / "a.avi", 3, codec="rawvideo")
    place = whole.read_bytes().index(b"strf") + 12
    lying = overwrite(whole, tmp_path / "b.avi", place, struct.pack("<ll", side_px, side_px))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(lying).fault in ("V14", "V04")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "warned"),
    [
        ("libx264", "yuv420p10le", "10 bits are reduced to 8"),
        ("ffv1", "yuv444p16le", "16 bits are reduced to 8"),
        ("ffv1", "gray16le", "16 bits are reduced to 8"),
        ("libx264rgb", "bgr24", ""),
        ("ffv1", "bgra", ""),
        ("ffv1", "yuva420p", ""),
        ("ffv1", "gray", ""),
        ("ffv1", "yuv422p", ""),
        ("ffv1", "yuv410p", ""),
        ("qtrle", "rgb24", ""),
    ],
)
def test_v15_every_pixel_format_shows_the_same_picture(
    tmp_path: Path, codec: str, pix_fmt: str, warned: str
):
    suffix = "mov" if codec == "qtrle" else "mkv"
    _, shown, problems = read(write_clip(tmp_path / f"a.{suffix}", 3, codec=codec, pix_fmt=pix_fmt))
    expected = list(pictures(3))[2].astype(int)
    got = shown[2].pixels.to_image().astype(int)
    grey = got if got.ndim == 2 else got.mean(axis=2)
    assert np.abs(grey - expected.mean(axis=2)).mean() < 6
    assert (problems["V15"].text if problems else "") == warned
    assert not any(problem.partial for problem in problems.values())


def test_v15_alpha_lies_over_black(tmp_path: Path):
    rgba = np.full((80, 80, 4), 200, np.uint8)
    rgba[:40, :, 3], rgba[40:, :, 3] = 128, 255
    with av.open(tmp_path / "a.mov", "w") as container:
        stream = container.add_stream("png", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 80, 80, "rgba"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(rgba, "rgba")))
        container.mux(stream.encode(None))
    image = read(tmp_path / "a.mov")[1][0].pixels.to_image()
    assert image[0, 0].tolist() == [100, 100, 100] and image[79, 0].tolist() == [200, 200, 200]


def test_v15_hdr_is_warned_once(tmp_path: Path):
    def as_pq(stream: av.VideoStream) -> None:
        stream.codec_context.color_trc, stream.codec_context.color_primaries = 16, 9
        stream.codec_context.colorspace = 9

    path = write_clip(tmp_path / "a.mkv", 3, pix_fmt="yuv420p10le", prepare=as_pq)
    assert "HDR" in read(path)[2]["V15"].text


@pytest.mark.parametrize(
    ("degrees", "corner"), [(0, (0, 0)), (90, (1, 0)), (180, (1, 1)), (-90, (0, 1))]
)
def test_v16_rotation_tag_turns_the_picture(tmp_path: Path, degrees: int, corner: tuple[int, int]):
    """The bright corner starts at the top left; a quarter turn to the left puts it bottom left."""
    picture = np.full((80, 120, 3), 30, np.uint8)
    picture[:20, :20] = 230
    with av.open(tmp_path / "a.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 120, 80, "yuv420p"
        stream.set_display_rotation(degrees)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    info, shown, _ = read(tmp_path / "a.mp4")
    luma = shown[0].pixels.planes[0]
    assert info.size_wh == ((80, 120) if degrees in (90, -90) else (120, 80))
    assert luma[-5 if corner[0] else 5, -5 if corner[1] else 5] > 150


@pytest.mark.parametrize(
    ("aspect", "size_wh"), [("4/3", (213, 120)), ("1/2", (160, 240)), ("1/1", (160, 120))]
)
def test_v16_pixels_that_are_not_square_become_square(
    tmp_path: Path, aspect: str, size_wh: tuple[int, int]
):
    def squeeze(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(aspect)

    info, shown, _ = read(write_clip(tmp_path / "a.mkv", 2, prepare=squeeze))
    assert info.size_wh == size_wh and shown[1].pixels.to_image().shape[1::-1] == size_wh


def test_v16_interlaced_fields_are_merged_and_told(tmp_path: Path):
    def interlace(stream: av.VideoStream) -> None:
        stream.codec_context.options = {"flags": "+ildct+ilme", "field_order": "tt"}

    path = write_clip(tmp_path / "a.mpg", 20, codec="mpeg2video", prepare=interlace)
    _, shown, problems = read(path)
    assert len(shown) == 20 and "interlaced" in problems["V16"].text
    places = [picture.pts_ns or 0 for picture in shown]
    assert max(abs(b - a - 1e9 / 30) for a, b in itertools.pairwise(places)) < 20_000


def test_v17_size_change_inside_the_file_is_followed(tmp_path: Path):
    small = write_clip(tmp_path / "a.h264", 10)
    large = write_clip(tmp_path / "b.h264", 10, size_wh=(320, 240))
    joined = tmp_path / "c.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    _, shown, _ = read(joined)
    assert [p.pixels.shape_hw for p in shown] == [(120, 160)] * 10 + [(240, 320)] * 10


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
