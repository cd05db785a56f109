"""Facts about whole audits: of drawn data with planted faults, and of the real data."""

import csv
import re
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from stream.cli import main
from stream.errors import StorageError
from tests.clips import write_clip
from tests.pictures import speckle, write_picture
from train.audit import Audit, audit_rows, write_audit
from train.data.layout import Layout, read_rows

PCOS, POCUS = Path("../shared/data/pcos_pcosgen"), Path("../shared/data/pocus_lung")
NAMES = ("a.png", "copy.png", "near.jpg", "b.png", "black.png", "c.png", "broken.png")


@pytest.fixture
def planted(tmp_path):
    """Two splits with a byte copy of the other class, a near copy, a black and a broken file."""
    root = tmp_path / "data"
    write_picture(root / "a.png", speckle(1))
    (root / "copy.png").write_bytes((root / "a.png").read_bytes())
    write_picture(root / "near.jpg", cv2.convertScaleAbs(speckle(1), alpha=1.1))
    write_picture(root / "b.png", speckle(2))
    write_picture(root / "c.png", speckle(3, (200, 100)))
    write_picture(root / "black.png", np.zeros((80, 80), np.uint8))
    (root / "broken.png").write_bytes(b"no picture")
    labels = ("ill", "well", "ill", "well", "well", "ill", "ill")
    splits = ("train", "val", "val", "train", "train", "val", "val")
    lines = [f"{n},{la},{s},7" for n, la, s in zip(NAMES, labels, splits, strict=True)]
    (root / "labels.csv").write_text("\n".join(["file,label,split,patient", *lines]))
    return root


def audit(root, layout=None):
    layout = layout or Layout()
    return audit_rows(read_rows(root, layout), root, layout)


def test_planted_faults_are_all_found(planted):
    found = audit(planted)
    assert found.byte_copies.opposite_files == ("a.png", "copy.png")
    assert (found.near_copies.pairs, found.near_copies.opposite) == (2, 1)
    assert (found.unreadable, found.flat) == ((("broken.png", "not an image"),), ("black.png",))
    assert [leak.what for leak in found.leaks["split"]] == ["patient", "byte copy", "near copy"]
    assert found.sizes == {"160 x 120": 4, "80 x 80": 1, "200 x 100": 1}
    assert len(found.problems) == 7


def test_parts_tell_classes_and_frames_with_a_copy_elsewhere(planted):
    parts = {part.name: (part.classes, part.copied) for part in audit(planted).parts}
    assert parts == {"train": ({"ill": 1, "well": 2}, 1), "val": ({"ill": 2, "well": 1}, 2)}


def test_worst_pair_is_the_byte_copy_with_another_label(planted):
    worst = audit(planted).pairs[0]
    assert (worst.files, worst.labels, worst.kind) == (
        ("a.png", "copy.png"),
        ("ill", "well"),
        "byte",
    )


def test_clean_data_has_no_problems(tmp_path):
    for seed in range(12):
        write_picture(tmp_path / "ab"[seed % 2] / f"{seed}.png", speckle(seed))
    found = audit(tmp_path)
    assert (found.problems, found.hidden.share_with_copy) == ((), 0.0)


def test_clips_are_audited_by_their_frames_and_v06_broken_ones_are_listed(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    write_clip(tmp_path / "a/one.mp4", 12)
    (tmp_path / "b/two.mp4").write_bytes((tmp_path / "a/one.mp4").read_bytes())
    (tmp_path / "b/cut.mp4").write_bytes((tmp_path / "b/two.mp4").read_bytes()[:400])
    found = audit(tmp_path, Layout(frames_per_clip=3))
    assert (found.files, found.frames, found.byte_copies.opposite) == (3, 6, 3)
    assert [file for file, _ in found.unreadable] == ["b/cut.mp4"]


def test_written_audit_reads_back_and_is_the_same_each_time(planted, tmp_path):
    found = audit(planted)
    for name in ("one", "two"):
        write_audit(found, tmp_path / name)
    first, second = ((tmp_path / n / "audit.html").read_bytes() for n in ("one", "two"))
    assert first == second
    assert msgspec.json.decode((tmp_path / "one/audit.json").read_bytes(), type=Audit) == found


def test_page_shows_pictures_and_asks_for_nothing_outside(planted, tmp_path):
    write_audit(audit(planted), tmp_path)
    page = (tmp_path / "audit.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 6
    assert re.findall(r"(?:https?:|<script|<link|@import|url\()", page) == []


def test_v23_names_with_markup_are_shown_as_text(tmp_path):
    for label, name in (("x", "<img src=y>.png"), ("y", "\u202e&amp;.png")):
        write_picture(tmp_path / label / name, speckle(1))
    write_audit(audit(tmp_path), tmp_path / "out")
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "<img src=y>" not in page
    assert "x/&lt;img src=y&gt;.png" in page
    assert "y/?&amp;amp;.png" in page


def test_f37_folder_that_cannot_be_written_is_a_storage_error(planted, tmp_path):
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(StorageError):
        write_audit(audit(planted), tmp_path / "out")


def test_c02_alias_that_turns_the_sense_of_a_column_is_a_problem(tmp_path):
    for seed, name in enumerate("ab"):
        write_picture(tmp_path / f"{name}.png", speckle(seed))
    (tmp_path / "t.csv").write_text("file,healthy\na.png,1\nb.png,0\n")
    turned = Layout(label_column="Healthy", labels={"0": "healthy", "1": "unhealthy"})
    (problem,) = audit(tmp_path, turned).problems
    assert "column healthy" in problem and "its sense is reversed" in problem


def test_command_prints_a_summary_and_is_strict_only_when_asked(planted, capsys):
    assert main(["audit", str(planted)]) == 0
    assert "- pairs of byte copies with different labels: 1" in capsys.readouterr().out
    assert main(["audit", str(planted), "--strict"]) == 2


def test_command_prints_json(planted, capsys):
    assert main(["audit", str(planted), "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=Audit).files == 7


@pytest.fixture(scope="module")
def pcos():
    return audit(PCOS)


@pytest.mark.slow
@pytest.mark.skipif(not PCOS.is_dir(), reason="../shared/data is absent")
def test_real_byte_copies_with_different_labels_are_those_of_the_conflict_column(pcos):
    with (PCOS / "labels.csv").open() as file:
        marked = sorted(r["file"] for r in csv.DictReader(file) if r["dup_conflict"] == "1")
    assert list(pcos.byte_copies.opposite_files) == marked
    assert pcos.byte_copies.opposite == 11


@pytest.mark.slow
@pytest.mark.skipif(not PCOS.is_dir(), reason="../shared/data is absent")
def test_real_split_by_image_has_near_copies_on_both_sides(pcos):
    near = [leak for leak in pcos.leaks["split"] if leak.what == "near copy"]
    assert [leak.parts for leak in near] == [("train", "val")]
    copied = {part.name: part.copied / part.frames for part in pcos.parts}
    assert copied["val"] > 0.5
    assert pcos.hidden.share_with_copy == pytest.approx(copied["val"], abs=0.05)


@pytest.mark.slow
@pytest.mark.skipif(not PCOS.is_dir(), reason="../shared/data is absent")
def test_real_healthy_column_has_the_sense_of_the_label(pcos):
    assert [(one.where, one.agree, one.contradict) for one in pcos.polarity] == [
        ("healthy", 2200, 0)
    ]


@pytest.mark.slow
@pytest.mark.skipif(not POCUS.is_dir(), reason="../shared/data is absent")
def test_real_patients_in_more_than_one_published_fold_are_named():
    found = audit(POCUS)
    people = {name for leak in found.leaks["fold"] for name in leak.examples}
    sets = {name for name in people if name.startswith("northumbria_0409_set")}
    assert people - sets == {"4", "7", "35", "80", "220"}
    assert found.hidden.random_split.accuracy > 0.95 > 0.65 > found.hidden.group_split.accuracy
