"""Facts about samples: who is grouped with whom and what may be trained on."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from stream.errors import UsageError
from tests.clips import write_clip
from train.data.layout import Layout
from train.data.samples import (
    Sample,
    check_folds,
    group_of,
    list_digest,
    list_lines,
    read_frames,
    regroup,
    training_part,
)

REAL = Path("../shared/data/pocus_lung/frames.csv")
CLASSES = ("covid", "pneumonia", "regular")


def sample(fold, group, label=0, source="clip"):
    return Sample(f"/data/{source}.png", 0, label, group, fold, source)


def test_northumbria_sets_are_one_person_whatever_their_patient_number():
    first = {"file": "x", "source": "Pneu_northumbria_0409_set3_vid1.avi", "patient": "190"}
    second = {"file": "y", "source": "Reg_northumbria_0409_set3_vid2.avi", "patient": "207"}
    assert group_of(first) == group_of(second) == "northumbria_0409_set3"


def test_group_is_patient_else_source_else_file():
    assert group_of({"file": "x", "source": "clip", "patient": "7"}) == "7"
    assert group_of({"file": "x", "source": "clip", "patient": ""}) == "clip"
    assert group_of({"file": "x"}) == "x"


def test_c04_nobody_of_the_tested_fold_is_trained_on():
    samples = [sample("0", "a"), sample("1", "a"), sample("1", "b"), sample("2", "c")]
    assert training_part(samples, "0") == [samples[2], samples[3]]


@pytest.mark.skipif(not REAL.is_file(), reason="../shared/data is absent")
def test_c04_real_folds_share_no_person():
    samples = read_frames(REAL, CLASSES)
    for fold in check_folds("lung", samples, CLASSES):
        tested = {s.group for s in samples if s.fold == fold}
        assert not tested & {s.group for s in training_part(samples, fold)}


@pytest.mark.skipif(not REAL.is_file(), reason="../shared/data is absent")
def test_real_table_gives_the_counts_of_its_readme():
    samples = read_frames(REAL, CLASSES)
    counts = [sum(s.label == label for s in samples) for label in range(3)]
    assert (len(samples), counts) == (1491, [355, 352, 784])


def test_c05_single_fold_is_refused_with_counts():
    with pytest.raises(UsageError, match=r"\[C05\].*fold 0 covid 2"):
        check_folds("data", [sample("0", "a"), sample("0", "b")], CLASSES)


def test_c05_training_part_without_a_class_is_refused():
    samples = [sample("0", "a", 0), sample("0", "b", 1), sample("1", "c", 0)]
    with pytest.raises(UsageError, match="without fold 0 nothing is left of pneumonia"):
        check_folds("data", samples, CLASSES[:2])


def phantom(seed, label=0):
    return Sample(f"phantom:kidney?seed={seed}", 3, label, f"seed {seed}", "train", f"clip{seed}")


def test_digest_of_generated_clips_is_that_of_five_fields_per_line():
    lines = "clip1\tphantom:kidney?seed=1\t3\t0\tseed 1\nclip2\tphantom:kidney?seed=2\t3\t1\tseed 2"
    expected = hashlib.sha256(lines.encode()).hexdigest()
    assert list_digest([phantom(2, 1), phantom(1)]) == expected


def still(folder, name, data=b"x", label=0):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return Sample(str(folder / name), 0, label, "g", "", "clip")


def test_line_of_a_still_ends_with_the_digest_of_its_bytes(tmp_path):
    digest = hashlib.sha256(b"x").hexdigest()
    assert list_lines([still(tmp_path, "a.png")]) == [f"clip\ta.png\t0\t0\tg\t{digest}"]


def test_digest_depends_on_labels_and_bytes_but_not_on_order_or_folder(tmp_path):
    names = ("a.png", "b.png")
    here, there = ([still(tmp_path / place, name) for name in names] for place in ("1", "2"))
    assert list_digest(here) == list_digest(there[::-1])
    assert list_digest(here) != list_digest([replace(here[0], label=1), here[1]])
    still(tmp_path / "2", "a.png", b"y")
    assert list_digest(here) != list_digest(there)


def test_groups_that_share_a_source_or_a_near_copy_are_joined_under_the_smallest_name():
    samples = [sample("0", group, source=source) for group, source in ("dA", "cA", "bB", "aC")]
    assert [s.group for s in regroup(samples, [])] == ["c", "c", "b", "a"]
    assert [s.group for s in regroup(samples, [(2, 1)])] == ["b", "b", "b", "a"]


def test_split_column_is_the_fold_where_there_is_no_fold_column(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "t.csv").write_text("file,label,split\na.png,covid,train\nb.png,regular,val\n")
    assert [s.fold for s in read_frames(tmp_path / "t.csv", CLASSES)] == ["train", "val"]


def test_clip_becomes_evenly_spaced_samples(tmp_path):
    write_clip(tmp_path / "long.mp4", 29)
    write_clip(tmp_path / "short.mp4", 2)
    (tmp_path / "clips.csv").write_text("file,label\nlong.mp4,covid\nshort.mp4,regular\n")
    samples = read_frames(tmp_path, CLASSES, Layout(frames_per_clip=3))
    assert [(s.source, s.index) for s in samples] == [
        ("long.mp4", 7),
        ("long.mp4", 14),
        ("long.mp4", 21),
        ("short.mp4", 0),
        ("short.mp4", 1),
    ]


def test_c05_data_of_one_class_is_refused_with_counts(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "t.csv").write_text("file,label,split\na.png,covid,train\n")
    with pytest.raises(UsageError, match=r"\[C05\] t.csv: fold train covid 1; expected samples of"):
        read_frames(tmp_path / "t.csv", CLASSES)
