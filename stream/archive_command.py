"""The archive: `stream archive FOLDER --out DIR`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engines.load import load_model
from stream import console
from stream.archive.adopt import clear_work
from stream.archive.engine import describe
from stream.archive.eyes import Need, Ranked, rank_entries
from stream.archive.plan import Places, Plan, build_settings, check_places
from stream.archive.pool import LocalPool, default_workers
from stream.archive.records import Answering
from stream.archive.rows import Row
from stream.archive.run import analyse_all, take_over
from stream.archive.scan import digest_of, scan
from stream.archive.table import GROUPS, build_cells, entry_of, write_tables
from stream.archive.worklist import WorkList
from stream.engine_flags import DEFAULT_FLAGS, EngineFlags, choose
from stream.errors import UsageError
from stream.hold import held
from stream.recording import PARTIAL
from stream.replay_command import DEFAULT_ANALYSIS, AnalysisFlags
from stream.report.wording import printable

if TYPE_CHECKING:
    from stream.archive.ray_pool import RayPool

MAX_WORKERS = 256
_LISTED = 20


def archive(
    folder: Path,
    /,
    *,
    out: Path,
    workers: int | None = None,
    ray: str | None = None,
    analysis: AnalysisFlags = DEFAULT_ANALYSIS,
    engine: EngineFlags = DEFAULT_FLAGS,
    report: bool = True,
    retry_failed: bool = False,
    json: bool = False,
) -> int:
    """Analyse every recording below a folder and list what needs eyes first.

    A run that was interrupted or killed goes on where it was when it is started again; new and
    changed recordings are taken up.

    Parameters
    ----------
    folder
        Folder tree of videos, DICOM files and stills; stills in one folder make one clip.
    out
        Folder for the work list, one session folder for each recording, and the table as
        `table.csv`, `table.xlsx` and `table.html`. Not inside `folder`.
    workers
        Processes that analyse, each with its share of the cores; by default one per core, at
        most 16. With `--ray`, by default one per processor of the cluster.
    ray
        Address of a running Ray cluster whose machines see both folders, the model and the
        cache of engines under the same paths; `auto` for the one of this machine.
    report
        Write a report into each session folder.
    retry_failed
        Also try again what failed or was unusable.
    json
        Print the table as JSON.
    """
    if workers is not None and not 1 <= workers <= MAX_WORKERS:
        raise UsageError(f"--workers {workers}", "out of range", f"expected 1 to {MAX_WORKERS}")
    settings = analysis.settings()
    places = check_places(folder, out)
    with held(places.out, "works on this archive") as lock, WorkList(places.out) as work:
        answering = _choose(analysis.model, engine, quiet=json)
        index, explain = analysis.stream_index, analysis.explain
        made = build_settings(answering, settings, index, explain, report=report)
        plan = Plan(places, answering, made)
        _take_stock(work, plan, retry_failed=retry_failed)
        _analyse(work, plan, partial(_open_pool, plan, workers, ray, lock))
        rows = work.rows()
    ranked = rank_entries(entry_of(row) for row in rows)
    if json:
        console.show_json(_as_json(places, ranked, report=report))
    else:
        _show(places, ranked)
    return _status(rows)


def _choose(path: Path, flags: EngineFlags, *, quiet: bool) -> Answering:
    """Choose the engine once for all workers; it is closed again."""
    given = load_model(path)
    chosen = choose(given, flags)
    try:
        if not quiet:
            console.say(f"engine: {chosen.reason}")
        return describe(chosen, given, path, flags.cache)
    finally:
        chosen.engine.close()


def _take_stock(work: WorkList, plan: Plan, *, retry_failed: bool) -> None:
    """Bring the work list into step with both folders; say what changed."""
    root, out = plan.places.root, plan.places.out
    work.settle(os.fsencode(root), plan.settings)
    changes = work.sync(scan(root), partial(digest_of, root))
    if retry_failed:
        work.retry()
    take_over(work, plan)
    clear_work(out, plan.run)
    if changes.changed:
        console.warn(f"changed since they were analysed: {_listed(changes.changed)}; done again")
    if changes.removed:
        console.warn(f"no longer there: {_listed(changes.removed)}")


def _analyse(work: WorkList, plan: Plan, open_pool: Callable[[int], LocalPool | RayPool]) -> None:
    """Analyse what waits and write the table, also after an interrupt."""
    waiting = work.count("todo")
    try:
        if waiting:
            with open_pool(waiting) as pool, console.progress("archive", "clips/s") as tick:
                analyse_all(work, pool, plan, tick)
    except (KeyboardInterrupt, SystemExit):
        left = work.count("todo") + work.count("running")
        console.warn(f"interrupted; {left} recordings left, the same command goes on with them")
        raise
    finally:
        clear_work(plan.places.out, plan.run)
        ranked = rank_entries(entry_of(row) for row in work.rows())
        write_tables(plan.places.out, ranked, report=plan.settings.report)


def _open_pool(
    plan: Plan, workers: int | None, ray: str | None, lock: int, waiting: int
) -> LocalPool | RayPool:
    if ray is None:
        return LocalPool(plan.setup(), min(workers or default_workers(), waiting), lock)
    try:
        from stream.archive.ray_pool import RayPool
    except ModuleNotFoundError as error:
        remedy = 'pip install "sonostream[cluster]"'
        raise UsageError(f"--ray {ray}", "Ray is not installed", remedy) from error
    return RayPool(plan.setup(), workers, waiting, ray)


def _show(places: Places, ranked: Sequence[Ranked]) -> None:
    """Name what has no result, then say in one line how it went and where the table is."""
    without = [line for line in ranked if line.need in (Need.FAILED, Need.UNUSABLE)]
    for line in without[:_LISTED]:
        console.warn(f"{line.entry.path}: {line.why}")
    if len(without) > _LISTED:
        console.warn(f"and {len(without) - _LISTED} more, see the table")
    needs = Counter(line.need for line in ranked)
    parts = [f"{needs[need]} {GROUPS[need]}" for need in Need if needs[need]]
    done = sum(line.entry.facts is not None for line in ranked)
    table = places.out / "table.html"
    console.say(f"{done} of {len(ranked)} recordings analysed: {', '.join(parts)}; table: {table}")


def _as_json(places: Places, ranked: Sequence[Ranked], *, report: bool) -> dict[str, object]:
    return {
        "archive": printable(str(places.out)),
        "counts": dict(Counter(line.need.name.lower() for line in ranked)),
        "recordings": [build_cells(line, report=report) for line in ranked],
    }


def _status(rows: Sequence[Row]) -> int:
    """Return 0 when all is well, the common status when all ended alike, else 4."""
    codes = {row.exit_code or 0 for row in rows if not row.removed}
    if len(codes) <= 1:
        return codes.pop() if codes else 0
    return PARTIAL if any(row.state == "done" for row in rows) else max(codes)


def _listed(paths: Sequence[bytes]) -> str:
    names = [printable(os.fsdecode(path)) for path in paths[:5]]
    return ", ".join(names) + (", ..." if len(paths) > 5 else "")
