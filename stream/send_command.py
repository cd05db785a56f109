"""`stream send`: the DICOM objects of a session to an archive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cyclopts import Parameter

from stream import console
from stream.errors import UsageError
from stream.report.dicom import require_dicom
from stream.send.archive import Archive, send_waiting
from stream.send.instances import Instance, find_instances
from stream.send.outbox import DONE, Entry, Outbox, outbox_path
from stream.session.manifest import read_manifest

PARTIAL = 4
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 5.0
_MAX_TITLE_CHARS = 16


@Parameter(name="*", negative=())
@dataclass(frozen=True, slots=True)
class LineFlags:
    """How the archive is spoken to.

    Parameters
    ----------
    calling
        Our application entity title.
    retry
        How often to try again in this run, after 0.5 s doubling to 5 s.
    timeout
        Seconds to wait for a connection, and for each answer.
    tls
        Send over TLS and trust the certificates in this PEM file.
    """

    calling: str = "SONOSTREAM"
    retry: int = 0
    timeout: float = 30.0
    tls: Path | None = None


DEFAULT_LINE = LineFlags()


def send(
    session: Path,
    /,
    *,
    to: str,
    aet: str,
    line: LineFlags = DEFAULT_LINE,
    json: bool = False,
) -> int:
    """Send the DICOM objects of a session to an archive; what fails stays in the outbox.

    Only a success status makes an object sent. Run the same command again to try what still
    waits. The outbox lies beside the session folder, as `NAME.outbox.sqlite`.

    Parameters
    ----------
    session
        Session folder with a report written with `--dicom`.
    to
        The archive, as HOST:PORT.
    aet
        Application entity title of the archive.
    json
        Print the outbox as JSON.
    """
    require_dicom()
    archive = parse_archive(to, aet, line)
    instances = find_instances(session, read_manifest(session))
    with Outbox(outbox_path(session), str(archive)) as outbox:
        outbox.enqueue(instances)
        trouble = _send_all(archive, instances, outbox, line.retry)
        entries = outbox.entries(instances)
    _show(session, archive, entries, json)
    if trouble:
        console.warn(f"{archive}: {trouble}")
    return 0 if all(entry.status in DONE for entry in entries) else PARTIAL


def parse_archive(to: str, aet: str, line: LineFlags = DEFAULT_LINE) -> Archive:
    """Return where to send.

    Raises
    ------
    UsageError
        If an address, a title, the time or the certificate file cannot be used.
    """
    host, _, port = to.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError("--to", f"{to!r} is no address", "give HOST:PORT")
    for flag, title in (("--aet", aet), ("--calling", line.calling)):
        plain = title.isascii() and title.isprintable() and "\\" not in title and title.strip()
        if not plain or len(title) > _MAX_TITLE_CHARS:
            problem = f"{title!r} is no application entity title"
            raise UsageError(flag, problem, "give 1 to 16 plain characters")
    if not 0 < line.timeout <= 3600:
        raise UsageError("--timeout", f"{line.timeout} s", "give more than 0, at most 3600 s")
    if not 0 <= line.retry <= 1000:
        raise UsageError("--retry", f"{line.retry} times", "give 0 to 1000")
    if line.tls is not None and not line.tls.is_file():
        raise UsageError("--tls", f"{line.tls} is no file", "give a PEM file of certificates")
    titles = aet.strip(), line.calling.strip()
    return Archive(host, int(port), *titles, line.timeout, line.tls)


def _send_all(archive: Archive, instances: Sequence[Instance], outbox: Outbox, retry: int) -> str:
    trouble, wait_s = "", _FIRST_WAIT_S
    for attempt in range(retry + 1):
        waiting = outbox.waiting(instances)
        if not waiting:
            break
        if attempt:
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        trouble = send_waiting(archive, waiting, outbox)
    return trouble


def _show(session: Path, archive: Archive, entries: Sequence[Entry], json: bool) -> None:
    if json:
        rows = [msgspec.to_builtins(entry) for entry in entries]
        facts = {"session": str(session), "archive": str(archive), "instances": rows}
        console.show_json(facts | {"outbox": str(outbox_path(session))})
        return
    table = [
        (
            Path(entry.file).name,
            entry.status,
            "" if entry.code is None else f"{entry.code:04X}",
            entry.text,
            str(entry.tries),
            entry.time,
        )
        for entry in entries
    ]
    done = sum(entry.status in DONE for entry in entries)
    title = f"{done} of {len(entries)} objects stored at {archive}"
    console.show_table(title, ("file", "status", "code", "meaning", "tries", "time"), table)
