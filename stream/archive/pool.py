"""Workers as processes of this machine."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from engines.cpu import count_cores
from stream.archive.channel import receive, send
from stream.archive.records import Answer, Setup, Task
from stream.closing import Closing
from stream.sources.child import OurPython

_MODULE = "stream.archive.worker"
_EXIT_WAIT_S = 5.0
_MAX_PRINTED_BYTES = 1 << 14
_log = logging.getLogger(__name__)


class Lost(NamedTuple):
    """A worker that has gone, and how."""

    reason: str


class Event(NamedTuple):
    """What a worker said, or that it has gone."""

    worker: int
    said: Answer | Lost


class Pool(Protocol):
    """Workers, numbered from 0; each says that it is ready, then answers task by task.

    Attributes
    ----------
    remote : workers may see other files than we do
    """

    remote: bool

    def __len__(self) -> int:
        """Return how many workers there are places for."""
        ...

    def give(self, worker: int, task: Task) -> None:
        """Give a task to a worker that waits for one."""
        ...

    def wait(self) -> Event:
        """Wait until a worker says something or goes."""
        ...

    def replace(self, worker: int) -> None:
        """Start a new worker in place of one that has gone."""
        ...

    def close(self) -> None:
        """End all workers, whatever they do."""
        ...


@dataclass(slots=True)
class _Worker:
    process: OurPython
    channel: socket.socket
    printed: int

    def close(self) -> None:
        self.channel.close()
        self.process.close()
        os.close(self.printed)


class LocalPool(Closing):
    """Processes that were started from nothing; one that dies takes nobody along.

    Each worker keeps to its share of the cores, so that its engine, its decoder and what they
    start see no more than that share.

    Parameters
    ----------
    setup : of every worker; cores and threads are filled in here
    workers : how many
    lock : descriptor that every worker holds until it ends
    """

    remote = False

    def __init__(self, setup: Setup, workers: int, lock: int) -> None:
        self._lock = lock
        self._setups = [
            msgspec.structs.replace(setup, cores=share, threads=len(share))
            for share in share_cores(sorted(os.sched_getaffinity(0)), workers)
        ]
        self._answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
        self._select = selectors.DefaultSelector()
        self._workers: dict[int, _Worker] = {}
        for number in range(workers):
            self.replace(number)

    def __len__(self) -> int:
        """Return how many workers there are places for."""
        return len(self._setups)

    def close(self) -> None:
        """End all workers, whatever they do."""
        for worker in self._workers.values():
            worker.process.kill()
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()
        self._select.close()

    def replace(self, worker: int) -> None:
        """See `Pool`."""
        printed = os.memfd_create("sonostream-printed", os.MFD_CLOEXEC)
        ours, theirs = socket.socketpair()
        with theirs:
            process = OurPython(_MODULE, theirs, printed)
        self._workers[worker] = _Worker(process, ours, printed)
        self._select.register(ours, selectors.EVENT_READ, worker)
        with suppress(BrokenPipeError, ConnectionResetError):  # `wait` will tell
            socket.send_fds(ours, [b"L"], [self._lock])
            send(ours, self._setups[worker])

    def give(self, worker: int, task: Task) -> None:
        """See `Pool`."""
        with suppress(BrokenPipeError, ConnectionResetError):  # `wait` will tell
            send(self._workers[worker].channel, task)

    def wait(self) -> Event:
        """See `Pool`."""
        key, _ = self._select.select()[0]
        worker = int(key.data)
        try:
            said = receive(self._workers[worker].channel, self._answers)
        except (ValueError, msgspec.MsgspecError) as error:
            said = None
            _log.debug("worker %d spoke nonsense: %s", worker, error)
            self._workers[worker].process.kill()
        return Event(worker, self._bury(worker) if said is None else said)

    def _bury(self, number: int) -> Lost:
        worker = self._workers.pop(number)
        self._select.unregister(worker.channel)
        code = worker.process.exit_code(_EXIT_WAIT_S)
        printed = os.pread(worker.printed, _MAX_PRINTED_BYTES, 0).decode("utf-8", "replace")
        _log.debug("worker %d ended with %s: %s", number, code, printed)
        worker.close()
        return Lost(_end_words(worker.process.pid, code, printed))


def share_cores(cores: Sequence[int], workers: int) -> list[tuple[int, ...]]:
    """Return each worker's share of the cores; with more workers than cores they take turns.

    Parameters
    ----------
    cores : numbers of the cores that may be used
    workers : how many shares
    """
    size = max(1, len(cores) // workers)
    return [
        tuple(cores[(number * size + place) % len(cores)] for place in range(size))
        for number in range(workers)
    ]


def default_workers() -> int:
    """Return one worker per core, at most 16: each holds 0.2 GiB or more, by the model."""
    return min(16, count_cores())


def _end_words(pid: int, code: int | None, printed: str) -> str:
    if code is None:
        return f"worker process {pid} closed its channel"
    if code < 0:
        return f"worker process {pid} was ended by {signal.Signals(-code).name}"
    last = printed.strip().splitlines()[-1:]
    return f"worker process {pid} ended with status {code}" + (
        f" ({last[0][:200]})" if last else ""
    )
