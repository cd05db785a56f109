"""Facts about film and maps: every frame once, from the clip that was analysed, kept for later."""

import hashlib
import sqlite3
from contextlib import closing
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from engines.pixels import Pixels
from stream.errors import SourceError, StorageError
from stream.report.overlay import draw_overlay
from stream.review import maker as maker_module
from stream.review.clip import open_clip
from stream.review.film import FILM, PIECE, Film, Look
from stream.review.filming import film_pieces, next_piece
from stream.review.maker import Maker
from stream.review.maps import Map, encode_map, find_maps, key_maps, make_maps
from stream.review.pictures import filmed_frames, read_pictures
from stream.sources.open import open_source
from stream.sources.proxy import FilmWriter, film_size, fit_box
from tests.review_sessions import analyse, make_session, write_uneven
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)
LOOK = Look(320, 240, "bt709", False)
ONE = hashlib.sha256(b"\x01").hexdigest()
TIMES = [0, 1, 2, 40, 41, 500, 503, 2500]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return make_session(tmp_path_factory.mktemp("film"))


def quiet(done):
    pass


def make_film(clip):
    """Make every piece and return them."""
    filmed, count = filmed_frames(clip), -(-len(clip.places) // PIECE)
    with Film(clip.review_folder, clip.journal) as film:
        film_pieces(clip, filmed, film, lambda number: number if number < count else None, quiet)
        return [film.read(number) for number in range(count)]


def frames_of(pieces, folder):
    """Return the frames of pieces, each with its time in its piece."""
    found = []
    for piece in pieces:
        (folder / "piece.mp4").write_bytes(piece)
        with open_source(str(folder / "piece.mp4"), session="test") as source:
            found += [(frame.pts_ns // 1_000_000, frame.image.copy()) for frame in source]
    return found


def all_made(clip, **flags):
    """Return a maker that has done all it can."""
    maker = Maker(clip, filmed_frames(clip), None, **flags)
    maker._thread.join(60)
    return maker


def test_every_frame_of_the_journal_is_one_frame_of_the_film_at_its_time(tmp_path):
    clip = open_clip(analyse(write_uneven(tmp_path / "u.mkv", TIMES, (320, 240)), tmp_path))
    assert [time for time, _ in frames_of(make_film(clip), tmp_path)] == TIMES


def test_each_piece_begins_at_0_and_ends_where_the_next_begins(session, tmp_path):
    pieces = make_film(open_clip(session))
    assert len(pieces) == 3  # 70 frames at 30 frames/s, 32 in a piece
    times = [time for time, _ in frames_of(pieces, tmp_path)]
    assert (times[31], times[32], times[63], times[64], times[69]) == (1033, 0, 1033, 0, 167)
    with av.open(BytesIO(pieces[0])) as container:
        assert container.streams.video[0].duration * 1000 == 1067 * 16000


def test_frames_of_one_time_are_a_millisecond_apart_in_the_film(session):
    clip = open_clip(session)
    object.__setattr__(clip, "time_ns", (0, 0, 0, 400_000, 5_000_000))
    assert clip.film_ms() == [0, 1, 2, 3, 5]


def test_the_film_has_the_colours_of_the_clip(session, tmp_path):
    clip = open_clip(session)
    shown = [image for _, image in frames_of(make_film(clip), tmp_path)]
    for index, pixels in read_pictures(clip):
        off = shown[index].astype(int) - pixels.to_image()
        assert np.abs(off.mean(axis=(0, 1))).max() < 1
        assert np.abs(off).mean() < 5  # the clip is noise, which no codec keeps


def test_a_picture_of_another_size_is_placed_whole_and_centred(tmp_path):
    with FilmWriter(tmp_path / "f.mp4", (320, 240)) as writer:
        writer.write(Pixels((np.full((240, 320), 200, np.uint8),)), 0, 40)
        writer.write(Pixels((np.full((480, 320), 200, np.uint8),)), 40, 40)
    with open_source(str(tmp_path / "f.mp4"), session="test") as source:
        image = list(source)[1].image
    assert fit_box((480, 320), (320, 240)) == (80, 0, 240, 240)
    assert image[120, 160] == pytest.approx(200, abs=3)
    assert image[120, 40] == pytest.approx(0, abs=3)


@pytest.mark.parametrize(
    ("shape_hw", "size_wh"),
    [((241, 321), (322, 242)), ((1, 1), (2, 2)), ((2160, 3840), (1920, 1080))],
)
def test_a_film_has_even_sides_and_fits_a_screen(shape_hw, size_wh):
    assert film_size(shape_hw) == size_wh


@pytest.mark.parametrize(
    ("number", "wanted", "missing", "piece"),
    [
        (0, None, {0, 1, 2}, 0),
        (0, 2, {0, 1, 2}, 2),  # what is looked at comes first
        (2, 1, {1, 2}, 1),
        (1, 1, {2, 3}, 2),  # what is wanted is there already
        (3, None, {0, 1}, 0),  # nothing is missing further on
        (1, 9, {1}, 1),  # there is no such piece
        (1, 0, set(), None),
    ],
)
def test_the_piece_that_is_looked_at_is_made_first(number, wanted, missing, piece):
    assert next_piece(number, wanted, missing) == piece


def test_pieces_are_made_once_whatever_is_wanted_meanwhile(session):
    clip = open_clip(session)
    (clip.review_folder / FILM).unlink(missing_ok=True)
    order, missing, wanted = [], {0, 1, 2}, [2, 2, 0, 1]
    with Film(clip.review_folder, clip.journal) as film:
        film_pieces(
            clip,
            filmed_frames(clip),
            film,
            lambda number: next_piece(number, wanted[len(order)], missing),
            lambda number: (order.append(number), missing.discard(number)),
        )
        assert all(film.read(number) for number in range(3))
    assert order == [2, 0, 1]


def test_a_piece_that_was_made_is_used_again_and_a_damaged_one_is_made_anew(session):
    clip = open_clip(session)
    pieces = make_film(clip)
    with closing(sqlite3.connect(clip.review_folder / FILM)) as db, db:
        db.execute("UPDATE pieces SET data = x'00' WHERE number = 1")
        db.execute("UPDATE pieces SET sha256 = ?, data = x'01' WHERE number = 2", (ONE,))
    with Film(clip.review_folder, clip.journal) as film:
        assert [film.read(number) for number in range(3)] == [pieces[0], None, b"\x01"]
    assert make_film(clip) == [*pieces[:2], b"\x01"]


@pytest.mark.parametrize("bytes_", [b"no film", b""])
def test_a_file_that_is_no_film_or_one_of_another_journal_is_replaced(tmp_path, bytes_):
    (tmp_path / FILM).write_bytes(bytes_ * 1000)
    with Film(tmp_path, "a" * 64) as film:
        film.keep(0, b"piece", LOOK)
    with Film(tmp_path, "a" * 64) as film:
        assert (film.read(0), film.look()) == (b"piece", LOOK)
    with Film(tmp_path, "b" * 64) as film:
        assert (film.read(0), film.look()) == (None, None)


def test_a_film_that_cannot_be_kept_is_one_clear_error(tmp_path):
    (tmp_path / FILM).mkdir()
    with pytest.raises(StorageError, match="no film can be kept there"):
        Film(tmp_path, "a" * 64)


def test_two_reviews_of_one_session_make_one_film(session):
    clip = open_clip(session)
    (clip.review_folder / FILM).unlink(missing_ok=True)
    with all_made(clip, blind=True) as one, all_made(clip, blind=True) as other:
        assert one.progress.film.state == other.progress.film.state == "ready"
        assert one.progress.pieces == other.progress.pieces == [(0, 2)]
        assert one.piece(1) == other.piece(1) is not None


def test_another_file_under_the_same_name_is_refused(tmp_path):
    folder = make_session(tmp_path)
    write_uneven(tmp_path / "other.mkv", TIMES, (320, 240)).rename(tmp_path / "clip.mp4")
    clip = open_clip(folder)
    with all_made(clip, blind=True) as maker:
        assert "not the file that was analysed" in maker.progress.film.reason
        assert maker.progress.pieces == []


def test_a_clip_that_has_gone_leaves_the_key_frames_and_the_reason(tmp_path):
    folder = make_session(tmp_path)
    (tmp_path / "clip.mp4").unlink()
    clip = open_clip(folder)
    with all_made(clip, blind=False) as maker:
        assert maker.progress.film.state == "failed"
        assert "No such file" in maker.progress.film.reason
        assert all(maker.draw_map(index) for index in key_maps(clip))


def test_why_no_frame_can_be_filmed_is_told(session, monkeypatch):
    def refuse(clip):
        raise SourceError("clip", "nothing was recorded")

    monkeypatch.setattr(maker_module, "filmed_frames", refuse)
    with Maker(open_clip(session), [], None, blind=True) as maker:
        maker._thread.join(30)
        assert (maker.progress.film.state, maker.progress.film.reason) == (
            "failed",
            "nothing was recorded",
        )


def test_the_maps_of_all_frames_are_made_with_the_engine_of_then(session):
    clip = open_clip(session)
    make_maps(clip, session.parents[1] / "engines", {}, quiet)
    found = find_maps(clip)
    assert set(found) == set(range(70))
    for index, known in key_maps(clip).items():
        assert np.array_equal(found[index].cam, known.cam)


def test_maps_of_another_journal_are_not_used(session, tmp_path):
    clip = open_clip(session)
    make_maps(clip, session.parents[1] / "engines", {}, quiet)
    object.__setattr__(clip, "journal", "b" * 64)
    assert find_maps(clip) is None


def test_a_model_that_has_changed_gives_no_maps_and_says_why(tmp_path):
    folder = make_session(tmp_path)
    model = open_clip(folder).manifest.model.path
    save_tiny(Path(model).parent, licence="another")
    with all_made(open_clip(folder), blind=False) as maker:
        assert maker.progress.film.state == "ready"
        assert maker.progress.maps.state == "failed"
        assert maker.progress.maps.reason


def test_a_map_over_the_picture_looks_as_in_the_report(session):
    spec = open_clip(session).spec
    cam = np.linspace(0, 0.25, 16, dtype=np.float32).reshape(4, 4)
    data = encode_map(Map(cam, (240, 320)), spec, (320, 240))
    blue, green, red, alpha = np.moveaxis(
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).astype(float), 2, 0
    )
    level = cv2.resize(cam, (32, 32), interpolation=cv2.INTER_LINEAR)
    level = cv2.resize(level, (320, 240), interpolation=cv2.INTER_LINEAR) / 0.25
    expected = draw_overlay(np.full((240, 320), 120, np.uint8), level.astype(np.float32))
    share = alpha[..., None] / 255
    blended = 120 * (1 - share) + np.dstack([red, green, blue]) * share
    assert np.abs(blended - expected).max() <= 3


def test_ending_the_review_ends_the_making(session):
    clip = open_clip(session)
    (clip.review_folder / FILM).unlink(missing_ok=True)
    with Maker(clip, filmed_frames(clip), None, blind=True) as maker:
        pass
    maker._thread.join(60)  # a busy machine may be longer in opening the clip than is waited for
    assert maker.progress.film.state != "ready"
