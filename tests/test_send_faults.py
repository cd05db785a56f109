"""Facts about sending to archives that refuse, warn, hang or vanish: the outbox tells the truth."""

import socket
import threading

import pytest
from pydicom.dataset import Dataset
from pynetdicom import build_context, evt

from stream.send.instances import find_instances
from stream.send.outbox import Outbox, outbox_path
from stream.send_command import send
from stream.session.manifest import read_manifest
from tests.dicom_archives import entries, free_port, misbehaving, send_to, statuses
from tests.dicom_sessions import add_dicom, copy_of, recorded_phantom

pytestmark = pytest.mark.timeout(60)
SUCCESS = 0x0000


@pytest.fixture
def session(tmp_path):
    return copy_of(recorded_phantom(), tmp_path)


FAILURES = [
    *(0xA700, 0xA701, 0xA900, 0xA9FF, 0xC000, 0xCFFF, 0x0110, 0x0111),
    *(0x0117, 0x0122, 0x0124, 0x0210, 0x0211, 0x0212, 0xFE00, 0x1234),
]


def test_f38_no_failure_status_ever_counts_as_sent(session):
    answers, got = iter(FAILURES), []
    with misbehaving(lambda event: next(answers)) as port:
        for _ in range(2):
            assert send_to(session, port) == 4
            assert statuses(session, port) == ["refused"] * 8
            got += [entry.code for entry in entries(session, port)]
    assert got == FAILURES


def test_f38_a_refused_instance_is_tried_again_with_its_count_and_then_sent(session):
    with misbehaving(lambda event: 0xA700) as port:
        send_to(session, port)
        (first, *_) = entries(session, port)
    assert (first.status, first.code, first.tries) == ("refused", 0xA700, 1)
    assert first.text == "out of resources"
    assert first.time.endswith("Z")


@pytest.mark.parametrize("code", [0xB000, 0xB006, 0xB007, 0x0107, 0x0116])
def test_f38_a_warning_is_kept_with_its_code_and_not_sent_again(session, code):
    seen = []
    with misbehaving(lambda event: seen.append(1) or code) as port:
        assert send_to(session, port) == 0
        assert send_to(session, port) == 0
        assert {(entry.status, entry.code) for entry in entries(session, port)} == {
            ("warned", code)
        }
    assert len(seen) == 8


def test_d13_what_an_archive_says_of_a_patient_is_neither_kept_nor_shown(session, capfd):
    refusal = Dataset()
    refusal.Status, refusal.ErrorComment = 0xC000, "PLANTED^NAME is no patient of ours"
    with misbehaving(lambda event: refusal) as port:
        assert send_to(session, port) == 4
    assert b"PLANTED" not in outbox_path(session).read_bytes()
    assert "PLANTED" not in "".join(capfd.readouterr())


def test_f38_what_was_sent_is_not_sent_again(session):
    seen = []
    with misbehaving(lambda event: seen.append(1) or SUCCESS) as port:
        assert send_to(session, port) == send_to(session, port) == 0
    assert len(seen) == 8


def test_f38_only_what_failed_goes_out_again(session):
    answers = iter([SUCCESS, 0xC000, *[SUCCESS] * 20])
    seen = []

    def answer(event):
        seen.append(event.request.AffectedSOPInstanceUID)
        return next(answers)

    with misbehaving(answer) as port:
        assert send_to(session, port) == 4
        assert send_to(session, port) == 0
    assert len(seen) == 9
    assert seen[8] == seen[1]


def test_f38_retry_in_the_same_run_sends_what_was_refused_at_first(session):
    answers = iter([0xA700] * 3 + [SUCCESS] * 20)
    with misbehaving(lambda event: next(answers)) as port:
        assert send_to(session, port, retry=1) == 0
        assert statuses(session, port) == ["sent"] * 8


def test_f38_without_a_server_everything_stays_queued_with_the_reason(session):
    port = free_port()
    assert send_to(session, port) == 4
    (first, *_) = entries(session, port)
    assert (first.status, first.code) == ("queued", None)
    assert first.text == f"no connection to 127.0.0.1 port {port} (Connection refused)"


def test_f38_a_wrong_title_is_named_as_the_reason(session):
    with misbehaving(lambda event: SUCCESS, strict=True) as port:
        assert send(session, to=f"127.0.0.1:{port}", aet="OTHER") == 4
        instances = find_instances(session, read_manifest(session))
        with Outbox(outbox_path(session), f"OTHER@127.0.0.1:{port}") as outbox:
            (first, *_) = outbox.entries(instances)
    assert "Called AE title not recognised" in first.text


def test_f38_a_refused_presentation_context_holds_back_its_kind_alone(session):
    images = [build_context("1.2.840.10008.5.1.4.1.1.7")]
    with misbehaving(lambda event: SUCCESS, contexts=images) as port:
        assert send_to(session, port) == 4
        got = {entry.file.split("/")[-1]: entry for entry in entries(session, port)}
    assert got["panel_1.dcm"].status == "sent"
    assert got["results.dcm"].status == "refused"
    assert "presentation context refused" in got["results.dcm"].text


def test_f38_a_server_that_takes_no_context_leaves_all_queued(session):
    other = [build_context("1.2.840.10008.5.1.4.1.1.2")]
    with misbehaving(lambda event: SUCCESS, contexts=other) as port:
        assert send_to(session, port) == 4
        assert statuses(session, port) == ["queued"] * 8


def test_f38_an_answer_that_does_not_come_in_time_leaves_the_rest_queued(session):
    over, count = threading.Event(), []

    def answer(event):
        count.append(1)
        if len(count) == 3:
            over.wait(20)
        return SUCCESS

    with misbehaving(answer) as port:
        assert send_to(session, port, timeout=0.5) == 4
        over.set()
        assert statuses(session, port) == ["sent"] * 2 + ["queued"] * 6


def test_f38_a_connection_reset_in_the_middle_loses_nothing(session):
    count = []

    def answer(event):
        count.append(1)
        if len(count) == 4:
            event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        return SUCCESS

    with misbehaving(answer) as port:
        assert send_to(session, port) == 4
        assert statuses(session, port) == ["sent"] * 3 + ["queued"] * 5
        assert send_to(session, port) == 0


def test_f38_an_abort_in_the_middle_loses_nothing(session):
    count = []

    def answer(event):
        count.append(1)
        if len(count) == 2:
            event.assoc.abort()
        return SUCCESS

    with misbehaving(answer) as port:
        assert send_to(session, port) == 4
        assert statuses(session, port) == ["sent"] + ["queued"] * 7


def test_f38_a_listener_that_never_speaks_is_left_in_time(session):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        port = mute.getsockname()[1]
        assert send_to(session, port, timeout=0.5) == 4
        assert "no answer in 0.5 s" in entries(session, port)[0].text


def test_f38_a_listener_that_speaks_nonsense_is_left(session):
    with socket.socket() as mad:
        mad.bind(("127.0.0.1", 0))
        mad.listen()
        port = mad.getsockname()[1]

        def talk():
            mad.accept()[0].close()  # the look whether somebody is there
            with mad.accept()[0] as one:
                one.recv(1 << 16)
                one.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)

        talker = threading.Thread(target=talk)
        talker.start()
        assert send_to(session, port, timeout=1.0) == 4
        talker.join(10)
        assert statuses(session, port) == ["queued"] * 8


def test_f38_a_server_that_stops_reading_is_left_in_time(session):
    add_dicom(session, size_wh=(2000, 1500))
    over = threading.Event()
    block = [(evt.EVT_DATA_RECV, lambda event: len(event.data) > 10_000 and over.wait(20))]
    with misbehaving(lambda event: SUCCESS, handlers=block) as port:
        assert send_to(session, port, timeout=0.5) == 4
        over.set()
        assert "queued" in statuses(session, port)


def test_f38_two_senders_of_one_session_do_not_meet(session):
    from stream.errors import StorageError

    with (
        Outbox(outbox_path(session), "X@h:1"),
        pytest.raises(StorageError, match="in use by another"),
    ):
        send_to(session, free_port())
