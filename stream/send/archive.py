"""One association with an archive: C-STORE of what waits, each answer noted at once."""

from __future__ import annotations

import socket
import ssl
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.errors import UsageError
from stream.send.answers import judge, meaning
from stream.send.instances import Instance
from stream.send.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Archive:
    """Where to send.

    Parameters
    ----------
    host, port : of the server
    called, calling : application entity titles, 1 to 16 characters
    timeout_s : longest wait for a connection, for an association and for each answer
    trusted : PEM file of certificates to trust; None sends without TLS
    """

    host: str
    port: int
    called: str
    calling: str
    timeout_s: float
    trusted: Path | None = None

    def __str__(self) -> str:
        return f"{self.called}@{self.host}:{self.port}"


@dataclass(slots=True)
class _Line:
    """The connection under an association: how long it may stand still, and its socket."""

    timeout_s: float
    socket: socket.socket | None = None

    def opened(self, event: Any) -> None:
        """Let the kernel end a send that the peer does not take; pynetdicom would wait for ever."""
        self.socket = event.assoc.dul.socket.socket
        whole = int(self.timeout_s)
        limit = struct.pack("ll", whole, int((self.timeout_s - whole) * 1e6))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def close(self) -> None:
        """Close the socket; pynetdicom leaves it open when the peer was first."""
        if self.socket is not None:
            self.socket.close()


def send_waiting(archive: Archive, instances: Sequence[Instance], outbox: Outbox) -> str:
    """Send instances over one association; each answer is in the outbox before the next goes out.

    Parameters
    ----------
    instances : what waits, at least one

    Returns
    -------
    Why the association could not be had or was lost, or nothing

    Raises
    ------
    StorageError
        If the outbox cannot be written or a file is no longer what was sealed.
    UsageError
        If the file of trusted certificates holds none.
    """
    left = list(instances)
    if not (trouble := _unreachable(archive)):
        with _associate(archive, instances) as (association, trouble):
            while left and not trouble:
                trouble = _send_one(association, left[0], outbox)
                left = left[1:] if not trouble else left
    for one in left:
        outbox.mark(one.sop_instance, "queued", None, trouble)
    return trouble


def _unreachable(archive: Archive) -> str:
    """Say why nobody can be reached; pynetdicom would not tell, and leave its socket open."""
    try:
        socket.create_connection((archive.host, archive.port), archive.timeout_s).close()
    except OSError as error:
        why = error.strerror or str(error)
        return f"no connection to {archive.host} port {archive.port} ({why})"
    return ""


@contextmanager
def _associate(archive: Archive, instances: Sequence[Instance]) -> Iterator[tuple[Any, str]]:
    """Ask for an association; yield it with why there is none, or nothing."""
    from pynetdicom import AE, _config, evt

    _config.STORE_SEND_CHUNKED_DATASET = True  # send the file's bytes as they are
    entity = AE(archive.calling)
    entity.connection_timeout = entity.acse_timeout = archive.timeout_s
    entity.dimse_timeout = entity.network_timeout = archive.timeout_s
    for sop_class, syntax in sorted({(one.sop_class, one.syntax) for one in instances}):
        entity.add_requested_context(sop_class, syntax)
    line = _Line(archive.timeout_s)
    association = entity.associate(
        archive.host,
        archive.port,
        ae_title=archive.called,
        tls_args=_tls(archive),
        evt_handlers=[(evt.EVT_CONN_OPEN, line.opened)],
    )
    try:
        yield association, _refusal(association, line, archive)
        if association.is_established:
            association.release()
    finally:
        if association.is_alive():
            association.abort()
        line.close()


def _tls(archive: Archive) -> tuple[ssl.SSLContext, str] | None:
    if archive.trusted is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(archive.trusted)), archive.host
    except (OSError, ssl.SSLError) as error:
        problem, remedy = "no certificates in it", "give a PEM file of certificates"
        raise UsageError(str(archive.trusted), problem, remedy) from error


def _refusal(association: Any, line: _Line, archive: Archive) -> str:
    if association.is_established:
        return ""
    if association.is_rejected:
        answer = association.acceptor.primitive
        return f"association refused: {answer.result_str}, {answer.reason_str}"
    if line.socket is None:
        return "the connection could not be set up" + " with TLS" * (archive.trusted is not None)
    if association.rejected_contexts and not association.accepted_contexts:
        return "the archive takes none of our kinds of object"
    return f"no association: no answer in {archive.timeout_s:g} s, or the connection was closed"


def _send_one(association: Any, instance: Instance, outbox: Outbox) -> str:
    """Send one instance; return why the association is lost, or nothing."""
    if not _is_accepted(association, instance):
        text = "presentation context refused: the archive does not take this kind of object"
        outbox.mark(instance.sop_instance, "refused", None, text)
        return ""
    with tempfile.NamedTemporaryFile(prefix="sonostream-send-", suffix=".dcm") as file:
        file.write(instance.read())  # what goes out is what was checked
        file.flush()
        outbox.mark_try(instance.sop_instance)
        try:
            answer = association.send_c_store(file.name)
        except RuntimeError:  # the association has gone since
            return "the connection was lost"
    code = answer.get("Status")
    if code is None:
        return "the connection was lost, or no answer came in time"
    outbox.mark(instance.sop_instance, judge(code), code, meaning(code))
    return ""


def _is_accepted(association: Any, instance: Instance) -> bool:
    wanted = instance.sop_class, instance.syntax
    return any(
        (context.abstract_syntax, context.transfer_syntax[0]) == wanted
        for context in association.accepted_contexts
    )
