"""Facts about finding clips."""

import pytest

from stream.errors import SourceError
from stream.sources.discover import find_clips, natural_key


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_natural_order_puts_2_before_10():
    assert sorted(["img10.png", "img2.png", "Img1.png"], key=natural_key) == [
        "Img1.png",
        "img2.png",
        "img10.png",
    ]


def test_a_folder_stands_for_its_clips_and_its_folders_of_stills(tmp_path):
    make(tmp_path, "clip10.mp4", "clip2.MOV", "notes.txt", ".hidden.mp4")
    make(tmp_path, "stills/1.png", "us/a.dcm")
    found = [path.removeprefix(f"{tmp_path}/") for path in find_clips([str(tmp_path)])]
    assert found == ["clip2.MOV", "clip10.mp4", "stills", "us/a.dcm"]


def test_c08_session_folders_are_never_taken_for_input(tmp_path):
    make(tmp_path, "a.mp4", "sessions/a/manifest.json", "sessions/a/journal.sqlite")
    make(tmp_path, "sessions/a/report/frame_1.png")
    assert find_clips([str(tmp_path)]) == [str(tmp_path / "a.mp4")]


def test_files_and_phantoms_stand_for_themselves(tmp_path):
    paths = ["phantom:kidney?seed=1", str(tmp_path / "strange.suffix")]
    assert find_clips(paths) == paths


def test_a_folder_without_clips_is_refused(tmp_path):
    make(tmp_path, "notes.txt")
    with pytest.raises(SourceError, match="no clip in this folder"):
        find_clips([str(tmp_path)])
