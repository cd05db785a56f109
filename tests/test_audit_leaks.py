"""Facts about leaks: what two parts may not share, and how it is told."""

import pytest

from stream.errors import UsageError
from train.audit import Copy, Leak, find_leaks, refuse_leaks
from train.data.samples import Sample


def sample(name, fold, group, source):
    return Sample(f"/d/{name}.png", 0, 0, group, fold, source)


SAMPLES = [
    sample("a", "train", "7", "clip1"),
    sample("b", "val", "7", "clip1"),
    sample("c", "val", "7", "clip2"),
    sample("d", "test", "clip3", "clip3"),
    sample("e", "train", "clip3", "clip3"),
]


def test_c04_patients_and_videos_in_two_parts_are_found():
    assert find_leaks(SAMPLES, []) == [
        Leak("patient", ("train", "val"), 1, ("7",)),
        Leak("video", ("test", "train"), 1, ("clip3",)),
        Leak("video", ("train", "val"), 1, ("clip1",)),
    ]


def test_c04_copies_across_parts_are_counted_and_the_most_similar_named_first():
    samples = [sample(name, "12"[place % 2], name, name) for place, name in enumerate("abcd")]
    copies = [Copy(0, 1, 0.91, "near"), Copy(0, 2, 0.99, "near"), Copy(2, 3, 1.0, "byte")]
    copies.append(Copy(1, 2, 0.98, "near"))
    assert [str(leak) for leak in find_leaks(samples, copies)] == [
        "1 byte copy in 1 and 2 (c.png ~ d.png 1.000)",
        "2 near copies in 1 and 2 (c.png ~ b.png 0.980, a.png ~ b.png 0.910)",
    ]


def test_c04_parts_may_be_given_and_places_left_out():
    parts = ["x", "y", "y", "x", "x"]
    assert [leak.what for leak in find_leaks(SAMPLES, [], parts)] == ["patient", "video"]
    assert find_leaks(SAMPLES, [], parts, kept=[1, 2, 3, 4]) == []


def test_c04_leaking_split_is_refused_with_counts_and_examples():
    leaks = [
        Leak("patient", ("0", "1"), 2, ("4", "7")),
        Leak("near copy", ("0", "1"), 30, ("a.png ~ b.png 0.990",)),
        Leak("near copy", ("0", "2"), 3, ("a.png ~ c.png 0.950",)),
    ]
    with pytest.raises(UsageError) as caught:
        refuse_leaks("lung", leaks, allow=False)
    assert str(caught.value) == (
        "error[C04] lung: the split leaks: 2 patients (0 and 1: 4), "
        "33 near copies (0 and 1: a.png ~ b.png 0.990; 0 and 2: a.png ~ c.png 0.950); "
        "split by patient, clip and near-copy, or give --allow-leak, which the model will tell"
    )


def test_c04_leaking_split_passes_when_allowed_and_a_clean_one_always():
    refuse_leaks("lung", [Leak("patient", ("0", "1"), 1, ("4",))], allow=True)
    refuse_leaks("lung", [], allow=False)
