"""Hands recordings to workers until none waits, and writes down what became of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from engines.errors import EngineError, SonostreamError
from stream.archive.adopt import (
    is_sealed,
    left_behind,
    place_made,
    place_session,
    recognise,
    remove,
)
from stream.archive.plan import Plan
from stream.archive.pool import Event, Lost, Pool
from stream.archive.records import SESSIONS, Outcome, Ready, Refused, Task
from stream.archive.rows import Row
from stream.archive.scan import digest_of
from stream.archive.worklist import WorkList
from stream.errors import StorageError, UsageError

MAX_LOST = 3
"""Workers lost one after another, none of which finished anything: something is wrong here."""
Tick = Callable[[int | None], None]


def take_over(work: WorkList, plan: Plan) -> None:
    """Bring the rows into step with the session folders that are there.

    A sealed session without its row is recognised, in its place or where a killed run left it;
    one of what the recording was before is taken away; a row whose session has gone waits again.
    """
    out = plan.places.out
    left = left_behind(out)
    for row in work.rows():
        if row.state == "done" and not is_sealed(out / SESSIONS / row.session):
            work.again(row.recording.path)
        elif row.state == "todo" and not row.removed:
            _take_over_one(work, plan, row, left.get(row.session, []))


def _take_over_one(work: WorkList, plan: Plan, row: Row, left: Sequence[Path]) -> None:
    placed = plan.places.out / SESSIONS / row.session
    folders = [folder for folder in (placed, *left) if folder.is_dir()]
    digest = digest_of(plan.places.root, row.recording) if folders else ""
    for folder in folders:
        known = recognise(folder, digest, plan.settings)
        if known is not None:
            if folder != placed:
                place_session(folder, plan.places.out, row.session)
            work.finish(row.recording.path, known)
            return
    if digest and placed in folders:
        remove(placed)


def analyse_all(work: WorkList, pool: Pool, plan: Plan, tick: Tick) -> None:
    """Analyse every recording that waits and bring its session to its place.

    Parameters
    ----------
    pool : its workers have been started, for this plan
    tick : called after each recording with the number of those to do

    Raises
    ------
    StorageError
        If a worker or we cannot write.
    SonostreamError
        If no worker can work, with the reason of the last one.
    """
    shift = _Shift(work, pool, plan, tick, total=work.count("todo"))
    while shift.goes_on():
        shift.take(pool.wait())


@dataclasses.dataclass(slots=True)
class _Shift:
    """Who waits, who has which task."""

    work: WorkList
    pool: Pool
    plan: Plan
    tick: Tick
    total: int
    owners: dict[int, str] = dataclasses.field(default_factory=dict)
    tasks: dict[int, Task] = dataclasses.field(default_factory=dict)
    retired: set[int] = dataclasses.field(default_factory=set)
    lost: int = 0

    def goes_on(self) -> bool:
        return bool(self.tasks) or self.work.count("todo") > 0

    def take(self, event: Event) -> None:
        """Answer what one worker said."""
        worker, said = event
        if isinstance(said, Ready):
            self.owners[worker] = said.owner
        elif isinstance(said, Outcome):
            self._finish(self.tasks.pop(worker), said)
            self.lost = 0
            self.tick(self.total)
        elif isinstance(said, Refused):
            self._take_refusal(worker, said)
        else:
            self._take_loss(worker, said)
        self._hand_out()

    def _finish(self, task: Task, said: Outcome) -> None:
        if said.state == "done":
            place_made(self.plan.places.out, self.plan.run, task.session)
        self.work.finish(task.recording.path, said)

    def _hand_out(self) -> None:
        """Give every waiting worker a task; one that was given back has no worker otherwise."""
        for worker in self.owners:
            if worker in self.tasks:
                continue
            task = self.work.take(self.owners[worker])
            if task is None:
                return
            if self.pool.remote:
                digest = digest_of(self.plan.places.root, task.recording)
                task = msgspec.structs.replace(task, sha256=digest)
            self.tasks[worker] = task
            self.pool.give(worker, task)

    def _take_refusal(self, worker: int, said: Refused) -> None:
        """Stop over a full disk; leave out a worker that cannot begin; its end comes next."""
        error = _error(said)
        if isinstance(error, StorageError):
            raise error
        if worker in self.tasks:
            self._give_back(worker, f"{said.subject}: {said.problem}")
            return
        self.retired.add(worker)
        if len(self.retired) == len(self.pool):
            raise error

    def _take_loss(self, worker: int, said: Lost) -> None:
        self.owners.pop(worker, None)
        if worker in self.retired:
            return
        self.lost += 1
        if worker in self.tasks:
            self._give_back(worker, said.reason)
        if self.lost > MAX_LOST * len(self.pool):
            raise EngineError("worker", f"{self.lost} lost one after another; {said.reason}")
        self.pool.replace(worker)

    def _give_back(self, worker: int, reason: str) -> None:
        again = self.work.give_back(self.tasks.pop(worker).recording.path, reason)
        self.owners.pop(worker, None)
        if not again:
            self.tick(self.total)


def _error(said: Refused) -> SonostreamError:
    kinds = {6: StorageError, 2: UsageError}
    kind = kinds.get(said.exit_code, EngineError)
    return kind(said.subject, said.problem, said.remedy, fault=said.fault)
