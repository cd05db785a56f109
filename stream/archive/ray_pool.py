"""Workers on a Ray cluster. The only module that imports ray.

Each worker is an actor with one processor and one engine thread. What goes to an actor and comes
back is bytes in msgpack, the same messages as between processes. Every machine must see the
recordings, the archive, the model and the cache of engines under the same paths, and have the
same version of this program; a worker checks all of it.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from contextlib import ExitStack
from typing import Any

import msgspec

from engines.errors import EngineError, SonostreamError
from stream.archive.pool import Event, Lost
from stream.archive.records import Answer, Ready, Refused, Setup, Task
from stream.closing import Closing
from stream.errors import UsageError

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing here reports to anybody

import ray

_WAIT_S = 1.0
_KNOCK_S = 5.0


class RayWorker:
    """A worker in a Ray process; it ends when the archive's process does."""

    def __init__(self, setup: bytes) -> None:
        self._setup = msgspec.msgpack.decode(setup, type=Setup)
        self._open = ExitStack()

    def start(self) -> bytes:
        """Open the engine; return `Ready` or `Refused`."""
        from stream.archive.analyse import open_bench, refusal

        try:
            self._bench = self._open.enter_context(open_bench(self._setup))
        except SonostreamError as error:
            return msgspec.msgpack.encode(refusal(error))
        node = ray.get_runtime_context().get_node_id()[:8]
        return msgspec.msgpack.encode(Ready(f"ray node {node}, process {os.getpid()}"))

    def analyse(self, task: bytes) -> bytes:
        """Analyse one recording; return `Outcome`, or `Refused` when no other can be."""
        from stream.archive.analyse import refusal

        try:
            return msgspec.msgpack.encode(
                self._bench.analyse(msgspec.msgpack.decode(task, type=Task))
            )
        except SonostreamError as error:
            self._open.close()
            return msgspec.msgpack.encode(refusal(error))


class RayPool(Closing):
    """Actors on a running cluster; see `stream.archive.pool.Pool`.

    Parameters
    ----------
    setup : of every worker
    workers : how many; one per processor of the cluster when None
    waiting : how many recordings wait; no more workers are started
    address : of the cluster

    Raises
    ------
    UsageError
        If there is no cluster at the address.
    """

    remote = True

    def __init__(self, setup: Setup, workers: int | None, waiting: int, address: str) -> None:
        self._setup = msgspec.msgpack.encode(setup)
        self._answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
        self._actors: dict[int, Any] = {}
        self._under_way: dict[Any, int] = {}
        self._next: deque[Event] = deque()
        _connect(address)
        try:
            self._count = min(_count_processors(workers), waiting)
            self._class: Any = ray.remote(RayWorker).options(num_cpus=1, max_restarts=0)
            for number in range(self._count):
                self.replace(number)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        """Return how many workers there are places for."""
        return self._count

    def close(self) -> None:
        """End all workers, whatever they do, and leave the cluster."""
        for actor in self._actors.values():
            ray.kill(actor)
        self._actors.clear()
        ray.shutdown()

    def replace(self, worker: int) -> None:
        """See `Pool`."""
        actor: Any = self._class.remote(self._setup)
        self._actors[worker] = actor
        self._under_way[actor.start.remote()] = worker

    def give(self, worker: int, task: Task) -> None:
        """See `Pool`."""
        answer = self._actors[worker].analyse.remote(msgspec.msgpack.encode(task))
        self._under_way[answer] = worker

    def wait(self) -> Event:
        """See `Pool`."""
        if self._next:
            return self._next.popleft()
        done: list[Any] = []
        while not done:  # in short waits, so that Ctrl-C is heard
            done, _ = ray.wait(list(self._under_way), num_returns=1, timeout=_WAIT_S)
        worker = self._under_way.pop(done[0])
        try:
            said = self._answers.decode(ray.get(done[0]))
        except (ray.exceptions.RayError, msgspec.MsgspecError) as error:
            return Event(worker, self._bury(worker, error))
        if isinstance(said, Refused):  # as a process, it ends after that
            self._next.append(Event(worker, self._bury(worker, said)))
        return Event(worker, said)

    def _bury(self, worker: int, why: Exception | Refused) -> Lost:
        ray.kill(self._actors.pop(worker))
        lines = str(why).strip().splitlines() or [type(why).__name__]
        return Lost(f"Ray worker lost: {lines[0][:200]}")


def _connect(address: str) -> None:
    try:
        _knock(address)
        ray.init(
            address=address,
            namespace="sonostream",
            log_to_driver=False,
            configure_logging=False,
            include_dashboard=False,
        )
    except (OSError, ValueError, RuntimeError) as error:
        why = str(error).splitlines()[:1] or [type(error).__name__]
        problem = f"no Ray cluster there: {why[0][:200]}"
        raise UsageError(f"--ray {address}", problem, "start one with `ray start`") from error


def _knock(address: str) -> None:
    """See in 5 s whether anybody listens, since Ray itself waits for minutes."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if "/" in address or not (colon and port.isdecimal()):
        raise ValueError("expected HOST:PORT or auto")
    socket.create_connection((host, int(port)), _KNOCK_S).close()


def _count_processors(wanted: int | None) -> int:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    found = int(resources.get("CPU", 0))
    if found < 1:
        raise EngineError("Ray cluster", "has no processor", "start nodes with `--num-cpus`")
    return min(wanted or found, found)
