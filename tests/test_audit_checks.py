"""Facts about the single checks: burned-in text, polarity, what a random split hides."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.sources.phantom import PhantomScene, parse_phantom
from train.audit.copies import Copy, pair_copies
from train.audit.hidden import estimate_hidden, share_with_copy
from train.audit.polarity import compare_senses
from train.audit.shots import Glance, Shots
from train.audit.text import find_text
from train.data.samples import Sample
from train.data.table import Row


def scan(organ="kidney"):
    return np.ascontiguousarray(PhantomScene(parse_phantom(f"phantom:{organ}?seed=1")).frame(0)[0])


def test_line_of_letters_is_found_where_it_stands():
    picture = scan()
    cv2.putText(
        picture, "PAT 1234567", (20, 460), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 230, 1, cv2.LINE_AA
    )
    ((left, top, right, bottom),) = find_text(picture)
    assert 15 <= left < 60 < 100 < right <= 130
    assert 440 <= top < bottom <= 465


@pytest.mark.parametrize("organ", ["kidney", "ovary", "uterus", "lung"])
def test_scan_without_text_has_none(organ):
    assert find_text(scan(organ)) == []


def row(line, label, file="a.png", **cells):
    return Row(line, Path("/d") / file, {"file": file, "label": label, **cells})


def compare(*rows):
    return [(one.where, one.agree, one.contradict) for one in compare_senses(rows, Path("/d"))]


def test_column_that_says_the_same_agrees():
    rows = (row(2, "healthy", healthy="1"), row(3, "unhealthy", healthy="0"))
    assert compare(*rows) == [("healthy", 2, 0)]


def test_c02_column_with_the_opposite_sense_is_named_as_reversed():
    rows = (row(2, "healthy", abnormal="1"), row(3, "unhealthy", abnormal="0"))
    assert compare(*rows) == [("abnormal", 0, 2)]
    (said,) = compare_senses(rows, Path("/d"))
    assert str(said).endswith(
        "0 rows agree, 2 contradict; its sense is reversed (line 2: healthy, line 3: unhealthy)"
    )


def test_c02_folder_that_contradicts_the_label_is_named():
    rows = (row(2, "covid", "covid/a.png"), row(3, "regular", "covid/b.png"))
    assert compare(*rows) == [("folders", 1, 1)]


def test_c02_folder_of_one_class_that_holds_another_contradicts_whatever_the_classes_mean():
    rows = (row(2, "regular", "covid/a.png"), row(3, "covid", "regular/b.png"))
    assert compare(*rows) == [("folders", 0, 2)]


def test_c02_column_named_like_a_class_is_compared_with_every_label():
    rows = (row(2, "regular", regular="1"), row(3, "covid", regular="1"))
    assert compare(*rows) == [("regular", 1, 1)]


def test_study_folder_of_a_mura_tree_is_compared():
    rows = (row(0, "positive", "XR_HAND/patient1/study1_negative/a.png"),)
    assert compare(*rows) == [("folders", 0, 1)]


def test_column_about_something_else_is_left_alone():
    assert compare(row(2, "cat", contrast="1"), row(3, "dog", contrast="0")) == []


def test_share_with_copy_is_the_expectation_over_all_draws():
    # 2 of 10 frames are tested; frames 0 and 1 are copies of each other. A tested one of them
    # has its copy in training unless both are drawn: 1 - 1/9. The other eight have none.
    copies = [Copy(0, 1, 1.0, "byte")]
    assert share_with_copy(10, copies) == pytest.approx(2 / 10 * 8 / 9)


def test_share_with_copy_agrees_with_drawing():
    copies = [Copy(a, b, 1.0, "near") for a in range(4) for b in range(a + 1, 4)]
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(4000):
        tested = rng.permutation(20)[:4]
        alone = [all(other in tested for other in range(4)) or place > 3 for place in tested]
        shares.append(1 - np.mean(alone))
    assert share_with_copy(20, copies) == pytest.approx(np.mean(shares), abs=0.01)


def shots(vectors, labels):
    names = [f"{place}.png" for place in range(len(labels))]
    samples = tuple(Sample(n, 0, label, n, "", n) for n, label in zip(names, labels, strict=True))
    rows = tuple(Row(0, Path(name), {}) for name in names)
    glances = (Glance((1, 1), 0.0, ()),) * len(names)
    classes = ("a", "b")
    return Shots(samples, tuple(names), rows, glances, vectors, tuple(names), classes, ())


def test_nearest_neighbour_remembers_copies_and_knows_nothing_without_them():
    rng = np.random.default_rng(0)
    scenes = rng.normal(size=(60, 64)).repeat(5, axis=0)
    vectors = scenes + 0.05 * rng.normal(size=scenes.shape)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    looked_at = shots(vectors, rng.integers(0, 2, 60).repeat(5).tolist())
    found = estimate_hidden(looked_at, pair_copies(vectors, looked_at.digests))
    assert (found.groups, found.largest) == (60, 5)
    assert found.random_split.accuracy > 0.98
    assert 0.35 < found.group_split.accuracy < 0.65
    assert found.share_with_copy > 0.99


def test_c05_too_little_data_gives_no_estimate():
    vectors = np.eye(4, dtype=np.float32)
    assert estimate_hidden(shots(vectors, [0, 1, 0, 1]), []) is None
    assert estimate_hidden(shots(np.eye(9, dtype=np.float32), [0] * 9), []) is None
