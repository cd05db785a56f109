"""Every grabbed frame is settled once, under the right name."""

from hypothesis import given
from hypothesis import strategies as st

from stream.session.account import AWAY, ENDED, LOST_ANSWERS, NEWER, NO_WORKER, Account, Loss


def test_consecutive_answers_lose_nothing():
    account = Account()
    assert account.answered(0, 0, 0) == account.answered(1, 0, 1) == []


def test_gap_between_answers_of_one_worker_is_policy():
    account = Account()
    account.answered(0, 0, 0)
    assert account.answered(4, 0, 1) == [Loss(1, 3, "skipped_by_policy", NEWER)]


def test_frames_before_the_first_answer_had_no_worker():
    assert Account().answered(3, 0, 0) == [Loss(0, 2, "transport_gap", NO_WORKER)]


def test_f01_gap_between_two_workers_had_no_worker():
    account = Account()
    account.answered(0, 0, 0)
    assert account.answered(9, 1, 0) == [Loss(1, 8, "transport_gap", NO_WORKER)]


def test_answers_that_never_came_are_not_recorded():
    account = Account()
    account.answered(0, 0, 0)
    assert account.answered(5, 0, 3) == [Loss(1, 4, "not_recorded", LOST_ANSWERS)]


def test_what_capture_dropped_is_named_inside_a_gap():
    account = Account()
    account.published(-1, 2)
    account.answered(2, 0, 0)
    account.published(2, 3)
    account.published(3, 6)
    assert account.answered(8, 0, 1) == [
        Loss(3, 3, "skipped_by_policy", NEWER),
        Loss(4, 5, "capture_drop", "capture did not publish them"),
        Loss(6, 7, "skipped_by_policy", NEWER),
    ]


def test_recorder_that_was_away_counts_what_it_missed():
    assert Account(5).answered(9, 2, 70) == [Loss(5, 8, "not_recorded", AWAY)]
    assert Account(5).finish(7) == [Loss(5, 6, "not_recorded", AWAY)]


def test_repeated_answer_is_told_apart():
    account = Account()
    account.answered(3, 0, 0)
    assert account.answered(3, 0, 0) is None and account.answered(1, 0, 0) is None


def test_rest_at_the_end_was_never_taken():
    account = Account()
    account.answered(0, 0, 0)
    assert account.finish(3) == [Loss(1, 2, "skipped_by_policy", ENDED)]


@given(st.lists(st.sampled_from("dploun"), max_size=80), st.integers(0, 3))
def test_ledger_balances_whatever_happens(events, restarts):
    """d: dropped by capture; p: published only; l: its answer lost; o: answered; u: not written;
    n: a new worker."""
    account, answered, lost, before, worker, number = Account(), 0, [], -1, 0, 0
    seq = 0
    for event in events:
        if event == "n":
            worker, number = worker + 1, 0
            continue
        if event != "d":
            account.published(before, seq)
            before = seq
        if event == "l":
            number += 1
        if event == "o":
            answered += 1
            lost += account.answered(seq, worker, number)
            number += 1
        if event == "u":
            lost += account.unrecorded(seq, "disk full")
        seq += 1
    lost += account.finish(seq)
    settled = sorted(n for loss in lost for n in range(loss.first_seq, loss.last_seq + 1))
    assert len(settled) == len(set(settled)) and len(settled) + answered == seq
