"""Video files: streams and formats, by the ids V11 to V17."""

from __future__ import annotations

import itertools
import resource
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.errors import UsageError
from stream.sources.video import open_video
from tests.clips import (
    overwrite,
    pictures,
    write_audio,
    write_clip,
    write_two_streams,
)
from tests.video_reading import read, refusal


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 90)


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
