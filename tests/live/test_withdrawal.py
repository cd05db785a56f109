"""What is left of answers that were withdrawn, in the record and on the screen."""

import numpy as np
import pytest

from engines.pixels import Pixels
from stream.clock import MS
from stream.frame import FrameId
from stream.live.recorder.record import LiveRecord
from stream.live.supervisor.config import Endpoints, EngineWanted, LiveConfig
from stream.live.viewer.viewing import Viewing
from stream.live.wire.frames import frame_of
from stream.live.wire.messages import KeyNote, Note, Order
from stream.live.wire.payload import Arrays
from stream.live.worker.results import Result
from stream.session.journal import open_reading
from stream.session.ledger import balances
from tests.frames import make_prediction
from tests.tiny_model import SPEC
from tests.wire_messages import make_header, make_result

CONFIG = LiveConfig(
    session="s", started_ns=0, wanted=EngineWanted(model="m"), endpoints=Endpoints()
)
PERIOD_NS, LAST, GOOD = 40 * MS, 9, 3


def answer(seq, worker=0):
    """Return the answer to a frame; later frames score higher, so they displace earlier ones."""
    prediction = make_prediction(seq, 0.55 + 0.04 * seq)
    arrays = Arrays(prediction.probs, prediction.probs, prediction.cam, prediction.features)
    header = make_result(
        arrays,
        seq=seq,
        captured_ns=(seq + 1) * PERIOD_NS,
        worker=worker,
        number=seq,
        label="red",
    )
    return Result(header, prediction, prediction.probs, picture(seq))


def picture(seq):
    return Pixels((np.full((8, 12), 20 * seq, np.uint8),))


def withdrawal(good=GOOD, last=LAST):
    return Order(session="s", name="withdraw", seq=good, last_seq=last, text="[F07] noise")


def confirmed(record):
    record.note(Note(session="s", role="worker", kind="confirmed", text="", epoch=0, seq=0))


@pytest.fixture
def begun(tmp_path):
    """A record that holds the answers up to the good one."""
    record = LiveRecord(tmp_path / "journal.sqlite", CONFIG)
    record.meet(SPEC)
    for seq in range(GOOD + 1):
        record.answered(answer(seq))
    confirmed(record)
    return record


def sealed(record, path, grabbed=LAST + 1):
    """Seal a record; return its states by frame and its key frames."""
    totals = record.seal(grabbed)
    assert balances(totals)
    with open_reading(path / "journal.sqlite") as db:
        frames = dict(tuple(row) for row in db.execute("SELECT seq, state FROM frames"))
        return frames, [row[0] for row in db.execute("SELECT seq FROM ranked")]


def check_taken_back(record, path):
    """Check rows and labels; return the key frames, none of which may be of a doubtful answer."""
    frames, keys = sealed(record, path)
    assert [frames[seq] for seq in range(GOOD + 1)] == ["ok"] * (GOOD + 1)
    assert [frames[seq] for seq in range(GOOD + 1, LAST + 1)] == ["withdrawn"] * (LAST - GOOD)
    assert set(keys) <= set(range(GOOD + 1))
    assert record.verdict().valid == GOOD + 1
    return keys


def test_f07_rows_key_frames_and_labels_go_back(begun, tmp_path):
    for seq in range(GOOD + 1, LAST + 1):
        begun.answered(answer(seq))
    assert max(kept.frame.id.seq for kept, _ in begun.key_frames()) == LAST
    begun.withdraw(withdrawal())
    assert sorted(check_taken_back(begun, tmp_path)) == list(range(GOOD + 1))


def test_f07_answers_that_come_after_the_word_are_taken_back_too(begun, tmp_path):
    begun.answered(answer(GOOD + 1))
    begun.withdraw(withdrawal())
    for seq in range(GOOD + 2, LAST + 1):
        begun.answered(answer(seq))
    assert sorted(check_taken_back(begun, tmp_path)) == list(range(GOOD + 1))


def test_f07_a_recorder_that_starts_anew_hears_the_word_again(begun, tmp_path):
    for seq in range(GOOD + 1, LAST + 1):
        begun.answered(answer(seq))
    begun._commit()  # and then it dies, before the word comes
    begun._journal.abandon()
    second = LiveRecord(tmp_path / "journal.sqlite", CONFIG)
    second.withdraw(withdrawal())
    second.meet(SPEC)
    check_taken_back(second, tmp_path)  # which frames were displaced nobody knows any more


def test_f07_the_word_said_again_touches_nothing_that_came_since(begun, tmp_path):
    for seq in range(GOOD + 1, LAST + 1):
        begun.answered(answer(seq))
    begun.withdraw(withdrawal())
    begun.answered(answer(LAST + 1, worker=1))
    begun.withdraw(withdrawal())
    frames, _ = sealed(begun, tmp_path, LAST + 2)
    assert frames[LAST + 1] == "ok" and list(begun.withdrawals) == [LAST]


def test_f07_a_pinned_frame_goes_and_cannot_be_pinned_again(begun, tmp_path):
    begun.answered(answer(LAST))
    assert begun.pin(FrameId("s", 0, LAST), picture(LAST))
    begun.withdraw(withdrawal())
    assert not begun.pin(FrameId("s", 0, LAST), picture(LAST))
    _, keys = sealed(begun, tmp_path)
    assert LAST not in keys


@pytest.fixture
def watching():
    """A viewer that has seen frames and answers."""
    viewing = Viewing("h", 250 * MS)
    for seq in range(LAST + 1):
        show(viewing, seq)
        viewing.see_result(answer(seq), time_of(seq))
    return viewing


def time_of(seq):
    return (seq + 1) * PERIOD_NS + 5 * MS


def show(viewing, seq):
    header = make_header(seq, captured_ns=(seq + 1) * PERIOD_NS, period_ns=PERIOD_NS)
    viewing.see_frame(header, frame_of(header, picture(seq)), time_of(seq))


def test_f01_an_answer_of_a_worker_that_was_replaced_is_never_drawn(watching):
    show(watching, LAST + 2)
    watching.see_result(answer(LAST + 1, worker=1), time_of(LAST + 2))
    watching.see_result(answer(LAST + 2, worker=0), time_of(LAST + 2))
    assert watching.view(time_of(LAST + 2)).current
    assert watching._newest.result.worker == 1 and watching._result.header.worker == 1


def test_f07_nothing_withdrawn_stays_on_the_screen_or_comes_back(watching):
    note = KeyNote(
        rank=1, epoch=0, seq=2, time_ns=1, score=0.5, probability=0.5, pinned=True, jpeg_bytes=1
    )
    watching.see_keys([(note, np.zeros((2, 2, 3), np.uint8))], 0)
    now_ns = time_of(LAST)
    assert watching.view(now_ns).current and watching.history.to_pin() is not None
    watching.see_withdrawal(LAST)
    watching.see_result(answer(LAST), now_ns)  # it was still on its way
    scene = watching.scene(now_ns)
    assert scene.verdict is None and not watching.view(now_ns).current
    assert len(scene.strip.value) == 0 and scene.keys == () and scene.strip.pinned_age_s == ()
    assert watching.history.to_pin() is None


def test_f07_a_withdrawal_said_again_leaves_the_answers_of_the_next_worker(watching):
    watching.see_withdrawal(LAST)
    show(watching, LAST + 1)
    watching.see_result(answer(LAST + 1, worker=1), time_of(LAST + 1))
    watching.see_withdrawal(LAST)
    assert watching.view(time_of(LAST + 1)).current
