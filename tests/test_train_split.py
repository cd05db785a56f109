"""Facts about splits: who is on which side."""

import numpy as np
import pytest

from stream.errors import UsageError
from train.data.samples import Sample
from train.data.split import LEFT_OUT, TEST, TRAIN, VALIDATION, draw_parts
from train.recipe import Split


def sample(number, label, group, fold=""):
    return Sample(f"{number}.png", 0, label, group, fold, f"{number}.png")


def people(count, frames):
    return [
        sample(f"{person}-{frame}", person % 2, f"p{person}")
        for person in range(count)
        for frame in range(frames)
    ]


def shares(names):
    return {part: float(np.mean(names == part)) for part in (TRAIN, VALIDATION, TEST)}


def test_nobody_is_on_two_sides():
    samples = people(40, 3)
    names = draw_parts("x", samples, Split(), 0).names
    parts_of = {s.group: set() for s in samples}
    for s, part in zip(samples, names, strict=True):
        parts_of[s.group].add(part)
    assert all(len(parts) == 1 for parts in parts_of.values())


def test_parts_have_about_the_wanted_shares():
    names = draw_parts("x", people(100, 2), Split(validation=0.15, test=0.3), 0).names
    found = shares(names)
    assert found[TEST] == pytest.approx(0.3, abs=0.03)
    assert found[VALIDATION] == pytest.approx(0.15, abs=0.03)


def test_seed_chooses_the_parts_and_repeats_them():
    samples = people(40, 2)
    first, again, other = (draw_parts("x", samples, Split(), seed).names for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_by_image_lets_one_person_be_on_both_sides():
    samples = people(8, 20)
    names = draw_parts("x", samples, Split(by="image"), 0).names
    assert {part for s, part in zip(samples, names, strict=True) if s.group == "p0"} == {
        TRAIN,
        VALIDATION,
        TEST,
    }


def test_given_parts_are_kept_and_their_people_left_out_of_training():
    samples = [sample(n, n % 2, f"p{n}", "train") for n in range(40)]
    samples += [sample(n, n % 2, f"p{n - 98}", "test") for n in range(100, 104)]
    names = draw_parts("x", samples, Split("given", validation=0.2), 0).names
    assert (names[40:] == TEST).all()
    assert (names[2:6] == LEFT_OUT).all()
    assert (names == LEFT_OUT).sum() == 4


def test_given_val_can_be_the_test_part():
    samples = [sample(n, n % 2, f"p{n}", "val" if n < 8 else "train") for n in range(40)]
    names = draw_parts("x", samples, Split("given", given_val_is="test"), 0).names
    assert (names[:8] == TEST).all()
    assert VALIDATION in names[8:]


def test_c05_part_without_a_class_is_refused_with_counts():
    samples = [sample(n, 0 if n < 38 else 1, "p1" if n >= 38 else f"q{n}") for n in range(40)]
    with pytest.raises(UsageError, match=r"\[C05\].*class 1 2"):
        draw_parts("x", samples, Split(), 0)


def test_c05_unknown_part_is_refused():
    samples = [sample(n, n % 2, f"p{n}", "hold") for n in range(8)]
    with pytest.raises(UsageError, match=r"\[C05\].*'hold'"):
        draw_parts("x", samples, Split("given"), 0)
