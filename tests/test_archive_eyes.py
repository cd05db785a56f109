"""Facts about the order of the archive's table; every order is worked by hand."""

import pytest

from stream.archive.eyes import Entry, Need, need_of, rank_entries
from stream.archive.records import Facts

SOUND = Facts(
    label="normal",
    share=1.0,
    finding=False,
    best_score=0.1,
    peak=0.1,
    threshold=0.5,
    margin=0.1,
    frames=50,
    valid=50,
    duration_s=2.0,
    partial=False,
    problems=(),
)


def entry(path="a.mp4", state="done", text="", fault="", removed=False, **facts):
    values = {name: getattr(SOUND, name) for name in Facts.__struct_fields__} | facts
    known = Facts(**values) if state == "done" else None
    return Entry(path, state, fault, text, removed, "s", "", known)


def paths(*entries):
    return [line.entry.path for line in rank_entries(entries)]


def test_what_nobody_judged_comes_first_and_what_is_sure_last():
    assert paths(
        entry("none"),
        entry("finding", label="kidney", finding=True, peak=0.9),
        entry("close", peak=0.45),
        entry("uncertain", label="uncertain", peak=0.5),
        entry("partial", partial=True),
        entry("unusable", "unusable"),
        entry("failed", "failed"),
        entry("waiting", "todo"),
    ) == ["failed", "unusable", "partial", "uncertain", "close", "finding", "none", "waiting"]


def test_close_calls_go_by_their_distance_from_the_threshold():
    assert paths(entry("a", peak=0.42), entry("b", peak=0.49), entry("c", peak=0.52)) == [
        "b", "c", "a",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("threshold", "peak", "need"),
    [
        (0.5, 0.41, Need.CLOSE),
        (0.5, 0.40, Need.NOTHING),
        (0.5, 0.59, Need.CLOSE),
        (0.5, 0.60, Need.NOTHING),
        (0.08, 0.05, Need.CLOSE),  # the band ends half way to 0, at 0.04
        (0.08, 0.04, Need.NOTHING),
        (0.96, 0.97, Need.CLOSE),  # and half way to 1, at 0.98
        (0.96, 0.98, Need.NOTHING),
    ],
)
def test_a_close_call_lies_in_the_band_in_which_frames_are_uncertain(threshold, peak, need):
    assert need_of(entry(threshold=threshold, peak=peak)) is need


def test_findings_and_the_rest_go_by_falling_probability():
    found = {"label": "kidney", "finding": True}
    assert paths(
        entry("a", peak=0.05), entry("b", peak=0.2), entry("c", peak=0.7, **found),
        entry("d", peak=0.99, **found),
    ) == ["d", "c", "b", "a"]  # fmt: skip


def test_ties_go_by_the_path_in_natural_order():
    assert paths(entry("clip10"), entry("clip9"), entry("Clip2")) == ["Clip2", "clip9", "clip10"]


def test_a_clip_in_which_no_frame_could_be_judged_is_uncertain():
    line = rank_entries([entry(label="uncertain", peak=None, share=0.0, valid=0)])[0]
    assert (line.need, line.why) == (Need.UNCERTAIN, "uncertain: no frame could be judged")


def test_a_removed_recording_keeps_its_place_and_one_without_result_goes_last():
    lines = rank_entries(
        [entry("gone", "todo", removed=True), entry("x", removed=True), entry("y", peak=0.05)]
    )
    assert [line.entry.path for line in lines] == ["x", "y", "gone"]
    assert lines[0].why == "no finding: highest 0.10; the recording has been removed"
    assert lines[2].why == "removed before it was analysed"


def test_the_reason_names_the_fault():
    line = rank_entries([entry(state="unusable", fault="V02", text="not a video")])[0]
    assert line.why == "unusable [V02]: not a video"
