"""Facts about labels after the review: the folder for training, and how far readers agree."""

import csv
import json

import cv2
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from stream.errors import UsageError
from stream.report.privacy import ExportRefused
from stream.review.agreement import compare_readers
from stream.review.clip import open_clip
from stream.review.export import Wish, export_labels
from stream.review.records import Call, Labels
from stream.review.trail import Change, Trail, trail_path
from stream.review_command import review as command
from tests.review_sessions import analyse, make_session
from train.audit import audit_rows
from train.data.layout import read_rows
from train.data.samples import read_frames

CLASSES = ("blue", "red")
PHANTOM = "phantom:kidney?seed=21&seconds=2&finding=dilated&size=160x120"


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return make_session(tmp_path_factory.mktemp("labels"))


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    return analyse(PHANTOM, tmp_path_factory.mktemp("phantom"))


def judge(session, reader, calls, group=""):
    """Let a reader judge frames by seq, the clip under None, in a trail of their own."""
    clip = open_clip(session)
    path = trail_path(clip.review_folder, reader)
    for old in (path, path.with_suffix(".head")):
        old.unlink(missing_ok=True)
    with Trail(path, clip.journal) as trail:
        if group:
            trail.add(Change(what="group", field="group", new=group))
        for seq, call in calls.items():
            place = None if seq is None else (0, seq)
            trail.add(Change(what="label", target=place, field="call", new=call))


def as_call(word):
    return Call("rejected") if word == "rejected" else Call("labelled", word)


def export(sessions, reader, out, **changes):
    return export_labels(sessions, Wish(reader, out, **changes), lambda done: None)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def exported(phantom, tmp_path_factory):
    """Frames 3 (blue), 9 (red) and 12 (rejected) of a phantom, exported."""
    out = tmp_path_factory.mktemp("exported") / "out"
    judge(phantom, "hana", {3: as_call("blue"), 9: as_call("red"), 12: Call("rejected")}, "P17")
    assert export([phantom], "hana", out) == 2
    return out


def test_trainings_own_reader_takes_the_exported_folder_unchanged(exported):
    samples = read_frames(exported, CLASSES)
    assert [(sample.label, sample.group) for sample in samples] == [(0, "P17"), (1, "P17")]
    assert all(sample.is_still for sample in samples)
    assert len({sample.source for sample in samples}) == 1


def test_the_data_doctor_finds_nothing_wrong_but_that_one_class_is_missing(phantom, tmp_path):
    judge(phantom, "gina", {3: as_call("red"), 40: as_call("red")})
    export([phantom], "gina", tmp_path / "out")
    assert audit_rows(read_rows(tmp_path / "out"), tmp_path / "out").problems == (
        "fewer than two classes: red",
    )


def test_an_exported_frame_is_exactly_the_labelled_one(exported, phantom):
    from stream.review.pictures import read_pictures

    images = {
        index: pixels.to_image().copy() for index, pixels in read_pictures(open_clip(phantom))
    }
    for row in table(exported / "frames.csv"):
        shown = cv2.imread(str(exported / row["file"]), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(shown, images[int(row["seq"])])


def test_rejected_frames_and_notes_are_in_the_judgements_alone(exported):
    rows = table(exported / "judgements.csv")
    assert [(row["seq"], row["decision"]) for row in rows] == [
        ("3", "labelled"),
        ("9", "labelled"),
        ("12", "rejected"),
    ]
    assert {row["seq"] for row in table(exported / "frames.csv")} == {"3", "9"}


def test_a_clip_label_stands_for_ten_evenly_spaced_frames(phantom, tmp_path):
    judge(phantom, "carl", {None: as_call("red")})
    assert export([phantom], "carl", tmp_path / "out") == 10
    seqs = [int(row["seq"]) for row in table(tmp_path / "out" / "frames.csv")]
    assert seqs == np.linspace(0, 49, 12).round().astype(int)[1:-1].tolist()


def test_clips_of_one_file_share_a_group_that_does_not_name_it(session, tmp_path):
    judge(session, "dora", {1: as_call("red")})
    export([session], "dora", tmp_path / "out", mask=False, accept_text="test: bits, no text")
    (row,) = table(tmp_path / "out" / "frames.csv")
    assert (
        row["group"]
        == row["source"]
        == f"clip-{open_clip(session).manifest.input.info.sha256[:12]}"
    )


def test_a_frame_that_cannot_be_masked_is_not_exported_d13(session, tmp_path):
    judge(session, "erik", {1: as_call("red")})
    with pytest.raises(ExportRefused):
        export([session], "erik", tmp_path / "out")
    assert not (tmp_path / "out" / "frames.csv").exists()


def test_a_folder_in_use_is_not_written_to_c08(phantom, tmp_path):
    judge(phantom, "anna", {3: as_call("blue")})
    (tmp_path / "mine").write_text("")
    with pytest.raises(UsageError, match=r"\[C08\]"):
        export([phantom], "anna", tmp_path)


def test_nothing_to_export_is_said(phantom, tmp_path):
    judge(phantom, "fred", {3: Call("rejected")})
    with pytest.raises(UsageError, match="no frame or clip a class"):
        export([phantom], "fred", tmp_path / "out")


def labels(calls):
    return Labels({(0, seq): as_call(word) for seq, word in enumerate(calls)}, {}, "")


def test_cohens_kappa_is_that_of_the_published_example():
    """Cohen 1960 as worked in every text: 20 and 15 of 50 agree, 5 and 10 do not; kappa 0.4."""
    one = ["red"] * 25 + ["blue"] * 25
    two = ["red"] * 20 + ["blue"] * 5 + ["red"] * 10 + ["blue"] * 15
    found = compare_readers({"s": {"a": labels(one), "b": labels(two)}})[0]
    assert (found.n, found.same) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4) == pytest.approx(cohen_kappa_score(one, two))
    assert found.interval[0] < 0.4 < found.interval[1]


def test_fleiss_kappa_of_three_readers_is_worked_by_hand():
    """Agreement per frame 1, 1/3, 1/3, 1: mean 2/3; shares 6/12, 6/12; kappa (2/3 - 1/2) * 2."""
    readers = {
        "a": labels(["red", "red", "blue", "blue"]),
        "b": labels(["red", "red", "blue", "blue"]),
        "c": labels(["red", "blue", "red", "blue"]),
    }
    found = [one for one in compare_readers({"s": readers}) if len(one.readers) == 3]
    assert found[0].kappa == pytest.approx(1 / 3)


def test_only_frames_that_both_judged_are_compared():
    one = Labels({(0, 1): as_call("red"), (0, 2): as_call("red")}, {}, "")
    two = Labels({(0, 2): as_call("rejected"), (0, 3): as_call("red")}, {}, "")
    found = compare_readers({"s": {"a": one, "b": two}})[0]
    assert (found.n, found.same) == (1, 0.0)


def test_full_agreement_on_one_class_has_no_kappa():
    found = compare_readers({"s": {"a": labels(["red"] * 5), "b": labels(["red"] * 5)}})[0]
    assert (found.same, found.kappa, found.interval) == (1.0, None, None)


def test_clips_are_drawn_where_there_are_several():
    sessions = {
        name: {"a": labels(["red", "blue"] * 5), "b": labels(["red", "blue"] * 4 + ["red"] * 2)}
        for name in ("s", "t", "u")
    }
    found = compare_readers(sessions)[0]
    assert (found.n, found.clips, found.resampled) == (30, 3, "clips")
    assert found.interval == pytest.approx((found.kappa, found.kappa))


def test_the_command_prints_agreement_of_the_trails(session, capsys):
    judge(session, "anna", {1: as_call("red"), 2: as_call("blue"), None: as_call("red")})
    judge(session, "ben", {1: as_call("red"), 2: as_call("red"), None: as_call("red")})
    for reader in ("dora", "erik"):
        trail_path(open_clip(session).review_folder, reader).unlink(missing_ok=True)
    assert command([str(session)], agreement=True, json=True) == 0
    frames, clips = json.loads(capsys.readouterr().out)
    assert (frames["of"], frames["n"], frames["same"], frames["kappa"]) == ("frames", 2, 0.5, 0.0)
    assert (clips["of"], clips["n"], clips["same"]) == ("clips", 1, 1.0)


def test_agreement_with_oneself_is_refused(phantom):
    judge(phantom, "anna", {3: as_call("blue")})
    for path in open_clip(phantom).review_folder.glob("*.jsonl"):
        if path.stem != "anna":
            path.unlink()
    with pytest.raises(UsageError, match="labels of 1 readers: anna"):
        command([str(phantom)], agreement=True)
