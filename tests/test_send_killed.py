"""Facts about senders and archives that are killed or interrupted in the middle."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.dicom_archives import TITLE, misbehaving, send_to, statuses
from tests.dicom_sessions import copy_of, recorded_phantom
from tests.interrupts import heed_interrupts

pytestmark = pytest.mark.timeout(60)
SUCCESS = 0x0000


@pytest.fixture
def session(tmp_path):
    return copy_of(recorded_phantom(), tmp_path)


SENDER = """
import sys
from pathlib import Path
from stream.send_command import send
sys.exit(send(Path(sys.argv[1]), to=sys.argv[2], aet=sys.argv[3]))
"""


@pytest.mark.parametrize("last", [1, 5])
def test_f38_a_killed_sender_loses_nothing_and_claims_nothing(session, last):
    got = []

    def answer(event):
        got.append(event.request.AffectedSOPInstanceUID)
        if len(got) == last:
            os.kill(sender.pid, signal.SIGKILL)
            sender.wait(10)
        return SUCCESS

    with misbehaving(answer) as port:
        command = [sys.executable, "-c", SENDER, str(session), f"127.0.0.1:{port}", TITLE]
        sender = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        assert sender.wait(30) == -signal.SIGKILL
        assert statuses(session, port) == ["sent"] * (last - 1) + ["queued"] * (9 - last)
        assert send_to(session, port) == 0
    assert len(set(got)) == 8
    assert len(got) == 9  # the one whose answer was lost went out twice, under the same identifier


def test_f31_a_sender_that_is_interrupted_ends_within_5_s(session):
    over, started = threading.Event(), threading.Event()

    def answer(event):
        sender.send_signal(signal.SIGINT)
        started.set()
        over.wait(20)
        return SUCCESS

    with misbehaving(answer) as port:
        command = [sys.executable, "-c", SENDER, str(session), f"127.0.0.1:{port}", TITLE]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        sender = subprocess.Popen(command, preexec_fn=heed_interrupts, **pipes)
        started.wait(30)
        began = time.monotonic()
        assert sender.wait(30) != 0
        assert time.monotonic() - began < 5
        over.set()
        assert statuses(session, port) == ["queued"] * 8


SERVER = """
import os, signal
from pynetdicom import AE, AllStoragePresentationContexts, evt
count = []
def answer(event):
    count.append(1)
    if len(count) == 3:
        os._exit(1)
    return 0
entity = AE("ARCHIVE")
entity.supported_contexts = AllStoragePresentationContexts
handlers = [(evt.EVT_C_STORE, answer)]
server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
print(server.server_address[1], flush=True)
signal.pause()
"""


def test_f38_a_server_killed_in_the_middle_leaves_the_rest_queued(session):
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
    with server.stdout:
        port = int(server.stdout.readline())
    assert send_to(session, port) == 4
    server.wait(10)
    assert statuses(session, port) == ["sent"] * 2 + ["queued"] * 6
