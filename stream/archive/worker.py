"""A worker on this machine: ``python -m stream.archive.worker``, one engine, one channel.

It ignores Ctrl-C, which is its parent's to answer, and dies with its parent.
"""

from __future__ import annotations

import os
import socket
import sys

import msgspec

from stream.archive.channel import receive, send
from stream.archive.records import Ready, Setup, Task
from stream.sources.sandbox_child import die_with_parent


def main(arguments: list[str]) -> None:
    """Analyse what the parent sends until it closes the channel.

    The first byte brings the lock of the archive, which is held until this process ends.

    Parameters
    ----------
    arguments : number of the channel's socket
    """
    die_with_parent()
    with socket.socket(fileno=int(arguments[0])) as channel:
        socket.recv_fds(channel, 1, 1)
        setup = receive(channel, msgspec.msgpack.Decoder(Setup))
        if setup is None:
            return
        if setup.cores:
            os.sched_setaffinity(0, setup.cores)  # before any library counts them
        _serve(channel, setup)


def _serve(channel: socket.socket, setup: Setup) -> None:
    from engines.errors import SonostreamError
    from stream.archive.analyse import open_bench, refusal

    tasks = msgspec.msgpack.Decoder(Task)
    try:
        with open_bench(setup) as bench:
            send(channel, Ready(f"process {os.getpid()}"))
            while (task := receive(channel, tasks)) is not None:
                send(channel, bench.analyse(task))
    except SonostreamError as error:
        send(channel, refusal(error))


if __name__ == "__main__":
    main(sys.argv[1:])
