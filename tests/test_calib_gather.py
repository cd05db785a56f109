"""Facts about reading frames for calibration."""

import cv2
import numpy as np
import pytest

from calib.gather import find_items, gather_frames
from stream.errors import SourceError, UsageError
from tests.tiny_model import SIZE, SPEC

PHANTOM = "phantom:kidney?seed=3&seconds=1"


def write_stills(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((64, 64, 3), 10 * number + 40, np.uint8))


def test_stills_below_class_folders_have_labels_and_clips_by_name(tmp_path):
    write_stills(tmp_path / "Red", ["a_frame1.png", "a_frame2.png", "b_frame1.png"])
    write_stills(tmp_path / "blue", ["c.png"])
    found = gather_frames([str(tmp_path)], SPEC)
    assert found.labels.tolist() == [0, 1, 1, 1]
    assert found.groups == ("blue/c", "Red/a", "Red/a", "Red/b")
    assert found.names[1] == "Red/a_frame1.png"
    assert found.inputs.shape == (4, SIZE, SIZE, 3)


def test_a_table_names_label_and_person(tmp_path):
    write_stills(tmp_path / "images", ["1.png", "2.png", "3.png"])
    table = tmp_path / "frames.csv"
    rows = ["images/1.png;red;7;x", "images/2.png;other;7;y", "images/3.png;blue;;z"]
    table.write_text("\n".join(["File;Label;Patient;Source", *rows]))
    found = gather_frames([str(table)], SPEC)
    known = zip(found.labels.tolist(), found.groups, strict=True)
    by_name = dict(zip(found.names, known, strict=True))
    assert by_name == {
        "images/1.png": (1, "person 7"),
        "images/2.png": (-1, "person 7"),
        "images/3.png": (0, "z"),
    }


def test_c01_a_table_without_files_is_refused(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("picture,label\nx.png,red\n")
    with pytest.raises(UsageError, match="expected a column file") as caught:
        find_items(str(table), SPEC)
    assert caught.value.fault == "C01"


def test_c03_a_file_that_is_absent_is_named_with_its_line(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("file\nmissing.png\n")
    with pytest.raises(UsageError, match=r"line 2.*missing\.png") as caught:
        find_items(str(table), SPEC)
    assert caught.value.fault == "C03"


def test_a_clip_gives_frames_evenly_over_its_time(monkeypatch):
    monkeypatch.setattr("calib.gather.MOST_FRAMES", 8)
    found = gather_frames([PHANTOM], SPEC)
    places = [int(name.rpartition("#")[2]) for name in found.names]
    assert 4 < len(places) <= 8
    assert set(np.diff(places)) == {4}
    assert len(set(found.groups)) == 1
    assert (np.diff(found.times_s) > 0).all()


def test_too_many_stills_are_thinned_over_all_clips(tmp_path, monkeypatch):
    monkeypatch.setattr("calib.gather.MOST_FRAMES", 6)
    write_stills(tmp_path, [f"{clip}-{number}.png" for clip in "abc" for number in range(6)])
    found = gather_frames([str(tmp_path)], SPEC)
    assert len(found) == 6
    assert set(found.groups) == {"a", "b", "c"}


def test_reading_twice_gives_the_same_list(tmp_path):
    write_stills(tmp_path, ["x1.png", "x2.png"])
    one, other = (gather_frames([str(tmp_path)], SPEC).digest() for _ in range(2))
    assert one == other


def test_v02_one_unreadable_file_is_left_out_with_a_line(tmp_path, capsys):
    write_stills(tmp_path, ["a-1.png", "b-1.png"])
    (tmp_path / "c-1.png").write_bytes(b"not a picture")
    (tmp_path / "d.mp4").write_bytes(b"not a clip")
    found = gather_frames([str(tmp_path)], SPEC)
    assert found.groups == ("a", "b")
    assert found.origin.startswith("2 frames of 4 clips and stills, 2 of them unreadable, from ")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["left out", "error[V02] c-1.png"],
        ["left out", "error[V01] d.mp4"],
    ]


def test_v02_when_nothing_is_left_the_error_is_that_of_the_first_file(tmp_path):
    (tmp_path / "c-1.png").write_bytes(b"not a picture")
    with pytest.raises(SourceError, match=r"\[V02\] c-1.png"):
        gather_frames([str(tmp_path)], SPEC)


def test_v21_a_path_that_does_not_exist_is_no_file_to_leave_out(tmp_path):
    write_stills(tmp_path, ["a-1.png"])
    with pytest.raises(SourceError, match=r"\[V21\] absent"):
        gather_frames([str(tmp_path), str(tmp_path / "absent")], SPEC)


def test_stills_named_one_by_one_are_grouped_as_in_their_folder(tmp_path):
    write_stills(tmp_path / "x", ["a-1.png", "a-2.png", "b-1.png"])
    files = [str(file) for file in sorted((tmp_path / "x").iterdir())]
    items = [item for file in files for item in find_items(file, SPEC)]
    assert [item.group for item in items] == ["x/a", "x/a", "x/b"]


def test_clips_of_a_table_that_differ_in_a_number_are_other_groups(tmp_path):
    for name in ("c1.mp4", "c2.mp4"):
        (tmp_path / name).touch()
    table = tmp_path / "t.csv"
    table.write_text("file\nc1.mp4\nc2.mp4\n")
    assert [item.group for item in find_items(str(table), SPEC)] == ["c1.mp4", "c2.mp4"]


def test_a_file_given_twice_counts_once_as_the_table_has_it(tmp_path):
    write_stills(tmp_path, ["a-1.png", "b-1.png"])
    table = tmp_path / "t.csv"
    table.write_text("file,label,patient\na-1.png,red,7\n")
    found = gather_frames([str(tmp_path), str(table)], SPEC)
    assert sorted(zip(found.groups, found.labels.tolist(), strict=True)) == [
        ("b", -1),
        ("person 7", 1),
    ]


def test_only_folders_from_the_given_one_down_are_labels(tmp_path):
    write_stills(tmp_path / "red" / "frames", ["a-1.png"])
    write_stills(tmp_path / "red" / "frames" / "blue", ["b-1.png"])
    given = find_items(str(tmp_path / "red" / "frames"), SPEC)
    assert [item.label for item in given] == [-1, 0]
    assert [item.label for item in find_items(str(tmp_path / "red"), SPEC)] == [1, 0]


def test_a_link_has_the_label_of_the_folder_that_it_lies_in(tmp_path):
    write_stills(tmp_path / "store", ["a-1.png"])
    (tmp_path / "red").mkdir()
    (tmp_path / "red" / "a-1.png").symlink_to(tmp_path / "store" / "a-1.png")
    assert [item.label for item in find_items(str(tmp_path / "red"), SPEC)] == [1]


def test_many_clips_give_fewer_frames_each_and_are_thinned(monkeypatch):
    monkeypatch.setattr("calib.gather.MOST_FRAMES", 8)
    clips = [f"phantom:kidney?seed={seed}&seconds=0.2" for seed in range(4)]
    assert len(gather_frames(clips, SPEC)) <= 8
