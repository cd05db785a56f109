"""Video files: good ones exactly, bad ones by the ids of faults-and-bad-inputs.md."""

from __future__ import annotations

import gc
import gzip
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.errors import StreamError
from stream.sources.base import Problem
from stream.sources.video import open_video
from stream.sources.video_audit import ClipAudit
from tests.clips import (
    box_span,
    copy_packets,
    cut,
    flip,
    overwrite,
    pictures,
    write_clip,
)
from tests.video_reading import read, refusal

DATA = Path("../shared/data")
REAL = sorted([*DATA.glob("pocus_lung/videos/*/*"), *DATA.glob("clips/*.mp4")])


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
                ours = shown.pixels.resized(shown.pixels.shape_hw[::-1])
                assert np.abs(ours.astype(int) - rgb).mean() < 2
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


def test_a_picture_goes_with_its_last_user_and_needs_no_garbage_collector(clip: Path):
    reader = open_video(str(clip))
    gc.collect()
    gc.disable()
    try:
        gc.set_debug(gc.DEBUG_SAVEALL)
        assert sum(1 for _ in reader.pictures()) == 90
        gc.collect()
        left = [one for one in gc.garbage if isinstance(one, av.VideoFrame)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    reader.close()
    assert left == []


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
