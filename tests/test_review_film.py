"""Facts about film and maps: every frame once, from the clip that was analysed, kept for later."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.pixels import Pixels
from stream.errors import SourceError
from stream.report.overlay import draw_overlay
from stream.review.clip import open_clip
from stream.review.film import FILM, find_film, make_film
from stream.review.maker import Maker
from stream.review.maps import Map, encode_map, find_maps, key_maps, make_maps
from stream.review.pictures import read_pictures
from stream.sources.open import open_source
from stream.sources.proxy import FilmWriter, film_size, fit_box
from tests.review_sessions import analyse, make_session, write_uneven
from tests.tiny_model import save_tiny

pytestmark = pytest.mark.timeout(120)
TIMES = [0, 1, 2, 40, 41, 500, 503, 2500]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return make_session(tmp_path_factory.mktemp("film"))


def quiet(done):
    pass


def film_of(clip):
    with open_source(str(clip.review_folder / FILM), session="test") as source:
        return list(source)


def test_every_frame_of_the_journal_is_one_frame_of_the_film_at_its_time(tmp_path):
    clip = open_clip(analyse(write_uneven(tmp_path / "u.mkv", TIMES, (320, 240)), tmp_path))
    assert make_film(clip, quiet).frames == 8
    assert [frame.pts_ns // 1_000_000 for frame in film_of(clip)] == TIMES


def test_frames_of_one_time_are_a_millisecond_apart_in_the_film(session):
    clip = open_clip(session)
    object.__setattr__(clip, "time_ns", (0, 0, 0, 400_000, 5_000_000))
    assert clip.film_ms() == [0, 1, 2, 3, 5]


def test_the_film_has_the_colours_of_the_clip(session):
    clip = open_clip(session)
    make_film(clip, quiet)
    shown = [frame.pixels.to_image() for frame in film_of(clip)]
    for index, pixels in read_pictures(clip):
        off = shown[index].astype(int) - pixels.to_image()
        assert np.abs(off.mean(axis=(0, 1))).max() < 1
        assert np.abs(off).mean() < 5  # the clip is noise, which no codec keeps


def test_a_picture_of_another_size_is_placed_whole_and_centred(tmp_path):
    with FilmWriter(tmp_path / "f.mp4", (320, 240)) as writer:
        writer.write(Pixels((np.full((240, 320), 200, np.uint8),)), 0)
        writer.write(Pixels((np.full((480, 320), 200, np.uint8),)), 40)
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


def test_a_film_that_was_made_is_used_again_and_a_damaged_one_is_not(session):
    clip = open_clip(session)
    made = make_film(clip, quiet)
    assert find_film(clip) == made
    path = clip.review_folder / FILM
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert find_film(clip) is None


def test_another_file_under_the_same_name_is_refused(tmp_path):
    folder = make_session(tmp_path)
    write_uneven(tmp_path / "other.mkv", TIMES, (320, 240)).rename(tmp_path / "clip.mp4")
    clip = open_clip(folder)
    with pytest.raises(SourceError, match="not the file that was analysed"):
        make_film(clip, quiet)
    assert not [path for path in clip.review_folder.iterdir() if FILM in path.name]


def test_a_clip_that_has_gone_leaves_the_key_frames_and_the_reason(tmp_path):
    folder = make_session(tmp_path)
    (tmp_path / "clip.mp4").unlink()
    clip = open_clip(folder)
    with Maker(clip, None, blind=False) as maker:
        maker._thread.join(60)
        assert maker.progress.film.state == "failed"
        assert "No such file" in maker.progress.film.reason
        assert all(maker.draw_map(index) for index in key_maps(clip))


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
    with Maker(open_clip(folder), tmp_path / "engines", blind=False) as maker:
        maker._thread.join(60)
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


def test_ending_the_review_ends_the_making_and_leaves_no_half_film(session):
    clip = open_clip(session)
    for path in clip.review_folder.glob(".film*"):
        path.unlink()
    with Maker(clip, None, blind=True) as maker:
        pass
    maker._thread.join(
        60
    )  # on a busy machine it is longer in opening the clip than it is waited for
    assert maker.progress.film.state != "ready"
    assert not list(clip.review_folder.glob("*.part"))
