"""Facts about copies: what counts as one, what does not, and how many are kept."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.pixels import Pixels
from stream.errors import SourceError
from tests.clips import write_clip
from tests.pictures import speckle, write_picture
from train.audit import Copy, find_copies
from train.audit.copies import KEPT, NEAR, detail_of, pair_copies
from train.data.samples import Sample, read_frames

POCUS = Path("../shared/data/pocus_lung")
CLASSES = ("covid", "pneumonia", "regular")


def similarity(one, other):
    return float(detail_of(Pixels((one,))) @ detail_of(Pixels((other,))))


def jpeg(picture, quality):
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: jpeg(picture, 30),
        lambda picture: cv2.convertScaleAbs(picture, alpha=1.15, beta=10),
        lambda picture: jpeg(cv2.resize(picture, None, fx=0.5, fy=0.5), 60),
        lambda picture: cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB),
    ],
    ids=["recompressed", "brighter", "half the size", "in colour"],
)
def test_changed_copy_of_a_picture_is_near(change):
    assert similarity(speckle(1), change(speckle(1))) >= NEAR


def test_pictures_of_one_sector_but_other_echoes_are_not_near():
    sector = np.zeros((120, 160), np.uint8)
    cv2.ellipse(sector, (80, 0), (110, 110), 0, 30, 150, 255, -1)
    one, other = (cv2.bitwise_and(speckle(seed), sector) for seed in (1, 2))
    assert similarity(one, other) < NEAR


def test_flat_pictures_are_near_nothing_not_even_each_other():
    black = np.zeros((120, 160), np.uint8)
    assert similarity(black, black) == 0.0


def test_copies_are_found_among_stills_and_clip_frames(tmp_path):
    write_picture(tmp_path / "a.png", speckle(1))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    write_picture(tmp_path / "c.jpg", speckle(1))
    write_picture(tmp_path / "d.png", speckle(2))
    clip = str(write_clip(tmp_path / "e.mp4", 5))
    stills = [
        Sample(str(tmp_path / n), 0, 0, n, "", n) for n in ("a.png", "b.png", "c.jpg", "d.png")
    ]
    found = find_copies(
        [*stills, Sample(clip, 0, 0, "e", "", "e"), Sample(clip, 0, 0, "e", "", "e")]
    )
    assert [(copy.a, copy.b, copy.kind) for copy in found] == [
        (0, 1, "byte"),
        (0, 2, "near"),
        (1, 2, "near"),
        (4, 5, "byte"),
    ]


def test_v02_sample_that_is_no_picture_stops_the_search(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"\[V02\]"):
        find_copies([Sample(str(tmp_path / "a.png"), 0, 0, "a", "", "a")])


def test_each_frame_keeps_its_most_similar_copies_only():
    vectors = np.ones((KEPT + 30, 4), np.float32) / 2
    copies = pair_copies(vectors, [str(place) for place in range(len(vectors))])
    counts = np.bincount([place for copy in copies for place in copy[:2]])
    assert counts.min() >= KEPT
    assert len(copies) < len(vectors) * (len(vectors) - 1) // 2


def test_many_equal_files_are_each_paired_with_the_first():
    copies = pair_copies(np.zeros((KEPT + 1, 4), np.float32), ["same"] * (KEPT + 1))
    assert copies == [Copy(0, other, 1.0, "byte") for other in range(1, KEPT + 1)]


@pytest.mark.slow
@pytest.mark.skipif(not POCUS.is_dir(), reason="../shared/data is absent")
def test_no_real_frames_of_different_people_are_near():
    samples = read_frames(POCUS, CLASSES)
    copies = find_copies(samples)
    assert len(copies) > 4000
    assert [c for c in copies if samples[c.a].group != samples[c.b].group] == []
