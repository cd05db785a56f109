"""Reviews of live sessions over a file: nobody took its digest, so its pictures are compared."""

import shutil
import subprocess
import sys

import pytest

from stream.errors import SourceError
from stream.live.recorder.again import ChangedSourceError
from stream.review.clip import open_clip
from stream.review.maker import Maker
from stream.review.pictures import filmed_frames, read_pictures
from stream.sources.encode import write_video
from tests.review_sessions import ROOT, numbered
from tests.tiny_model import save_tiny

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]
COUNT, RATE_HZ = 70, 60.0


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A session of `stream live` over a file, at its end."""
    folder = tmp_path_factory.mktemp("played")
    write_video(folder / "kept.mp4", numbered(COUNT, 20), RATE_HZ)
    shutil.copy(folder / "kept.mp4", folder / "clip.mp4")
    model = ["--model", str(save_tiny(folder)), "--engine", "onnxruntime"]
    places = ["--out", str(folder), "--name", "s", "--no-window", "--no-mask"]
    command = [sys.executable, "-m", "stream.cli", "live", str(folder / "clip.mp4")]
    subprocess.run([*command, *model, *places], cwd=ROOT, timeout=90, check=True)
    return folder / "s"


@pytest.fixture
def clip(played):
    yield open_clip(played)
    shutil.copy(played.parent / "kept.mp4", played.parent / "clip.mp4")


def film_of(clip):
    with Maker(clip, filmed_frames(clip), None, blind=True) as maker:
        maker._thread.join(60)
        return maker.progress


def test_the_file_that_was_played_gives_the_film(clip):
    assert len(clip.places) > 10
    assert film_of(clip).film.state == "ready"


def test_another_file_of_the_same_times_is_found_by_a_key_frame_and_leaves_no_film(played, clip):
    write_video(played.parent / "clip.mp4", numbered(COUNT, 0), RATE_HZ)
    with pytest.raises(ChangedSourceError, match="is not what was analysed: shows another"):
        list(read_pictures(clip))
    (clip.review_folder / ".film.sqlite").unlink(missing_ok=True)
    found = film_of(clip)
    assert (found.film.state, found.film.done, found.pieces) == ("failed", 0, [])


@pytest.mark.parametrize(
    ("count", "rate_hz", "words"), [(COUNT, 50.0, "has frame"), (9, RATE_HZ, "ends before frame")]
)
def test_a_file_of_other_times_or_fewer_frames_is_not_what_was_played(
    played, clip, count, rate_hz, words
):
    write_video(played.parent / "clip.mp4", numbered(count, 20), rate_hz)
    with pytest.raises(SourceError, match=words):
        list(read_pictures(clip))
