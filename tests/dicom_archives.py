"""Archives on loopback: one that misbehaves as told, dcmtk's and a real Orthanc."""

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from pynetdicom import AE, AllStoragePresentationContexts, evt

from stream.send.instances import find_instances
from stream.send.outbox import Outbox, outbox_path
from stream.send_command import LineFlags, send
from stream.session.manifest import read_manifest

TITLE = "ARCHIVE"
WAIT_S = 20


@contextlib.contextmanager
def misbehaving(
    answer,
    *,
    contexts=AllStoragePresentationContexts,
    handlers=(),
    strict=False,
    certificate=None,
):
    """Run an archive whose answer to each C-STORE is `answer(event)`; yields its port.

    With a certificate it speaks TLS alone; its key lies beside it, as ``key.pem``.
    """
    entity = AE(TITLE)
    entity.supported_contexts = contexts
    entity.require_called_aet = strict
    every = [(evt.EVT_C_STORE, answer), *handlers]
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=every, ssl_context=tls)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def storescp(folder):
    """Run dcmtk's storescp; yields its port. What it gets lies in `folder`."""
    port = free_port()
    command = [shutil.which("storescp"), "-od", str(folder), "-aet", TITLE, str(port)]
    with running(command) as process:
        wait_until(lambda: answers(port), process)
        yield port


@contextlib.contextmanager
def orthanc(folder):
    """Run Orthanc; yields its DICOM port and a function that asks its REST interface."""
    dicom, http = free_port(), free_port()
    store = str(folder / "db")
    settings = {
        "Name": "test", "StorageDirectory": store, "IndexDirectory": store,
        "DicomAet": TITLE, "DicomPort": dicom, "DicomCheckCalledAet": True, "HttpPort": http,
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "DicomAlwaysAllowStore": True,
        "Plugins": [], "ConcurrentJobs": 1, "HttpThreadsCount": 2,
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))

    def ask(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{http}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def ready():
        try:
            return bool(ask("/system")) and answers(dicom)
        except (urllib.error.URLError, OSError):
            return False

    with running([shutil.which("Orthanc"), str(folder / "orthanc.json")]) as process:
        wait_until(ready, process)
        yield dicom, ask


def answers(port):
    """Say whether somebody listens."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(command):
    """Run a program and end it."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until(true, process):
    """Wait for a program to be ready, not longer than `WAIT_S`."""
    end = time.monotonic() + WAIT_S
    while not true():
        assert process.poll() is None, "it ended before it was ready"
        assert time.monotonic() < end, "it is not ready in time"
        time.sleep(0.02)


def send_to(session, port, **options):
    line = LineFlags(**{"timeout": 5.0, **options})
    return send(session, to=f"127.0.0.1:{port}", aet=TITLE, line=line)


def entries(session, port):
    """Return what the outbox says, in the order of the files."""
    instances = find_instances(session, read_manifest(session))
    with Outbox(outbox_path(session), f"{TITLE}@127.0.0.1:{port}") as outbox:
        return outbox.entries(instances)


def statuses(session, port):
    return [entry.status for entry in entries(session, port)]
