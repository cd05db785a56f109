"""A review begun within the clip: the pictures that the journal is about, and no others."""

import os
import shutil
import signal
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

from stream.errors import SourceError, StorageError
from stream.review import filming
from stream.review.clip import open_clip
from stream.review.film import FILM, PIECE, Film
from stream.review.filming import NEAR, film_pieces, next_piece
from stream.review.pictures import filmed_frames, read_pictures
from tests.clips import write_clip
from tests.review_sessions import analyse

pytestmark = pytest.mark.timeout(120)
COUNT = 400  # and a key frame each ten


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seek")
    return analyse(write_clip(folder / "clip.mp4", COUNT), folder)


@pytest.fixture
def clip(session):
    return open_clip(session)


def images(clip, start=0, most=COUNT):
    return [(i, pixels.to_image()) for i, pixels in islice(read_pictures(clip, start), most)]


@pytest.mark.parametrize("start", [1, 9, 10, 157, COUNT - 1])
def test_each_picture_from_a_place_on_is_that_of_a_reading_from_the_start(clip, start):
    whole, part = images(clip), images(clip, start)
    assert [index for index, _ in part] == list(range(start, COUNT))
    for index, image in part:
        assert np.array_equal(image, whole[index][1])


def spoil(clip, **changed):
    for name, values in changed.items():
        object.__setattr__(clip, name, values)


def test_without_times_that_tell_frames_apart_all_is_read(clip):
    times = clip.pts_ns
    spoil(clip, pts_ns=(*times[:-1], times[-2]))
    assert images(clip, 200, 1)[0][0] == 0


def test_after_damaged_frames_all_is_read(clip):
    spoil(clip, states=("damaged", *clip.states[1:]))
    assert images(clip, 200, 1)[0][0] == 0


def test_another_time_than_that_of_the_journal_is_found_from_any_place(clip):
    spoil(clip, pts_ns=(*clip.pts_ns[:210], clip.pts_ns[210] + 1, *clip.pts_ns[211:]))
    with pytest.raises(SourceError, match="frame 210 is not the one analysed"):
        images(clip, 200)


def test_another_file_is_refused_before_its_first_picture(clip, session, tmp_path):
    path = session.parents[1] / "clip.mp4"
    shutil.copy(path, tmp_path)
    try:
        write_clip(path, COUNT, size_wh=(176, 144))
        with pytest.raises(SourceError, match="not the file that was analysed"):
            next(read_pictures(clip, 200))
    finally:
        shutil.copy(tmp_path / "clip.mp4", path)


def test_once_the_decoder_is_lost_the_pictures_go_on_from_a_reading_from_the_start(clip):
    whole, part = images(clip), read_pictures(clip, 200)
    found = [next(part)[0]]
    kill_children()
    for index, pixels in part:
        assert np.array_equal(pixels.to_image(), whole[index][1])
        found.append(index)
    assert found == list(range(200, COUNT))


def kill_children():
    for path in Path("/proc/self/task").glob("*/children"):
        for pid in path.read_text().split():
            os.kill(int(pid), signal.SIGKILL)


def make_film(clip, wanted=None, asked=0):
    """Return the pieces of a film, and in which order they were made.

    `wanted` is looked at once it was asked `asked` times what to make.
    """
    (clip.review_folder / FILM).unlink(missing_ok=True)
    order, missing, times = [], set(range(-(-COUNT // PIECE))), count()
    with Film(clip.review_folder, clip.journal) as film:
        film_pieces(
            clip,
            filmed_frames(clip),
            film,
            lambda number: next_piece(number, wanted if next(times) >= asked else None, missing),
            lambda number: (order.append(number), missing.discard(number)),
        )
        return [film.read(number) for number in sorted(order)], order


def test_a_film_begun_at_its_end_is_the_film_that_was_made_in_order(clip):
    pieces, order = make_film(clip)
    assert order == list(range(13)) and order[-1] > NEAR
    assert make_film(clip, 12) == (pieces, [12, *range(12)])


def test_a_piece_is_given_up_for_one_that_is_looked_at_meanwhile(clip):
    pieces, _ = make_film(clip)
    assert make_film(clip, 12, asked=10) == (pieces, [12, *range(12)])


def test_pictures_that_end_too_early_end_the_film_with_a_reason(clip, monkeypatch):
    short = (picture for picture in islice(read_pictures(clip), 40))
    monkeypatch.setattr(filming, "read_pictures", lambda *_: short)
    with pytest.raises(StorageError, match="pictures end within piece 1"):
        make_film(clip)


def test_a_film_of_a_source_that_is_only_read_from_its_start_is_made_all_the_same(tmp_path):
    clip = open_clip(analyse(write_clip(tmp_path / "a.avi", COUNT, codec="mpeg4"), tmp_path))
    assert images(clip, 300, 1)[0][0] == 0
    pieces, _ = make_film(clip)
    assert make_film(clip, 11) == (pieces, [11, 12, *range(11)])
