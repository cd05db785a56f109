"""The process that parses one DICOM header: ``python -m stream.sources.dicom_study_child``.

It lives under the limits of `stream.sources.sandbox_child`, answers once, and dies with its parent.
"""

from __future__ import annotations

import os
import socket
import sys

from stream.sources.sandbox_child import confine, die_with_parent


def main(arguments: list[str]) -> None:
    """Confine this process, then answer the one request.

    Parameters
    ----------
    arguments : number of the control socket, limit of the address space in bytes
    """
    control = socket.socket(fileno=int(arguments[0]))
    die_with_parent()
    confine(int(arguments[1]))
    import msgspec  # what can be imported only inside the limits is

    from stream.errors import SourceError
    from stream.sources.dicom_study import Study, parse_study
    from stream.sources.sandbox_wire import MAX_MESSAGE_BYTES, Refused, Request

    request = msgspec.msgpack.decode(control.recv(MAX_MESSAGE_BYTES), type=Request)
    answer: Study | Refused
    try:
        answer = parse_study(os.fsdecode(request.uri))
    except SourceError as error:
        answer = Refused("source", error.subject, error.problem, error.remedy, error.fault)
    control.send(msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
