"""Facts about model inputs: decoded once, kept whole, the same from the cache as without."""

import cv2
import numpy as np
import pytest

from stream.errors import SourceError, StorageError
from tests.clips import write_clip
from train.data import loader
from train.data.loader import load_inputs
from train.data.samples import Sample

SIZE_WH = (40, 30)


@pytest.fixture
def samples(tmp_path):
    """Three frames of one clip, not in order, around a still."""
    clip = str(write_clip(tmp_path / "c.mp4", 12))
    cv2.imwrite(str(tmp_path / "a.png"), np.full((80, 90), 50, np.uint8))
    frames = [Sample(clip, index, 0, "g", "", "c") for index in (8, 2, 8)]
    return [frames[0], Sample(str(tmp_path / "a.png"), 0, 1, "h", "", "a"), *frames[1:]]


def test_clip_is_opened_once_and_gives_the_frames_that_are_named(samples, monkeypatch):
    opened, open_source = [], loader.open_source
    monkeypatch.setattr(
        loader,
        "open_source",
        lambda uri, session: opened.append(uri) or open_source(uri, session=session),
    )
    inputs = load_inputs(samples, SIZE_WH, "stretch")
    assert len(opened) == 1
    assert (inputs[0] == inputs[3]).all()
    assert (inputs[0] != inputs[2]).any()
    assert (inputs[1] == 50).all()


def test_cached_inputs_are_the_decoded_ones_and_are_read_without_decoding(
    samples, tmp_path, monkeypatch
):
    plain = load_inputs(samples, SIZE_WH, "stretch")
    made = load_inputs(samples, SIZE_WH, "stretch", tmp_path / "cache")
    monkeypatch.setattr(loader, "read_samples", None)
    again = load_inputs(samples, SIZE_WH, "stretch", tmp_path / "cache")
    assert isinstance(again, np.memmap)
    assert (made == plain).all() and (again == plain).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"no array",
        lambda data: data[:-1],
        lambda data: data.replace(b"(4, 30,", b"(3, 30,"),
    ],
    ids=["empty", "foreign", "torn", "another shape"],
)
def test_f37_cache_that_is_not_whole_is_made_again(samples, tmp_path, change):
    plain = load_inputs(samples, SIZE_WH, "stretch")
    load_inputs(samples, SIZE_WH, "stretch", tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(change(path.read_bytes()))
    assert (load_inputs(samples, SIZE_WH, "stretch", tmp_path / "cache") == plain).all()


def test_cache_is_another_for_other_bytes_order_size_or_rule(samples, tmp_path):
    def names():
        return len(list((tmp_path / "cache").iterdir()))

    load_inputs(samples, SIZE_WH, "stretch", tmp_path / "cache")
    load_inputs(samples[::-1], SIZE_WH, "stretch", tmp_path / "cache")
    load_inputs(samples, (30, 40), "stretch", tmp_path / "cache")
    load_inputs(samples, SIZE_WH, "letterbox", tmp_path / "cache")
    write_clip(tmp_path / "c.mp4", 13)
    load_inputs(samples, SIZE_WH, "stretch", tmp_path / "cache")
    assert names() == 5


def test_f37_nothing_is_left_when_a_picture_cannot_be_decoded(samples, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="not an image"):
        load_inputs(samples, SIZE_WH, "stretch", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_f37_cache_folder_that_cannot_be_made_is_a_storage_error(samples, tmp_path):
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(StorageError, match=r"\[F37\]"):
        load_inputs(samples, SIZE_WH, "stretch", tmp_path / "cache")


def test_v06_frame_that_a_clip_no_longer_has_is_an_error(samples, tmp_path):
    write_clip(tmp_path / "c.mp4", 5)
    with pytest.raises(SourceError, match=r"\[V06\] c.mp4: frames \[8\]"):
        load_inputs(samples, SIZE_WH, "stretch")
