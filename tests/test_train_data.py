"""Facts about samples: who is grouped with whom and what may be trained on."""

from pathlib import Path

import pytest

from stream.errors import UsageError
from train.data import Sample, check_folds, group_of, list_digest, read_frames, training_part

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


def test_digest_depends_on_labels_but_not_on_order_or_folder():
    here = [sample("0", "a"), sample("1", "b", source="other")]
    there = [Sample(s.uri.replace("data", "else"), 0, 0, s.group, s.fold, s.source) for s in here]
    assert list_digest(here) == list_digest(there[::-1])
    assert list_digest(here) != list_digest([sample("0", "a", label=1), here[1]])
