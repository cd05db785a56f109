"""What is known of a model's compiled engines, read from their sidecars alone."""

from __future__ import annotations

import msgspec

from engines.cache import Cache, Entry, list_entries
from engines.errors import EngineError
from engines.load import Model

COLUMNS = ("engine", "batch", "gate", "top-1", "speed", "device")


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One cache entry.

    Parameters
    ----------
    entry : its folder
    backend, backend_version, precision, batch, mode, device : what it was compiled for
    state : accepted, rejected, not judged, or unusable when its sidecar cannot be read
    missed : the limits that it did not keep, or why the sidecar cannot be read
    top1_agreement : with the float32 reference, None where not measured
    over_default : its rate over that of the FP32 default engine, None where not measured
    frames_from : what it was judged on, in words
    created : wall time in UTC
    """

    entry: str
    state: str
    missed: tuple[str, ...] = ()
    backend: str = ""
    backend_version: str = ""
    precision: str = ""
    batch: str = ""
    mode: str = ""
    device: str = ""
    top1_agreement: float | None = None
    over_default: float | None = None
    frames_from: str = ""
    created: str = ""


def engine_rows(model: Model, cache: Cache) -> tuple[EngineFacts, ...]:
    """Return the cached engines of a model and of models made from it, the fastest first.

    Entries that cannot be read come last: nobody knows whose they are.
    """
    rows = [
        _unusable(entry) if isinstance(entry, EngineError) else _facts(entry)
        for entry in list_entries(cache)
        if isinstance(entry, EngineError) or _is_of(entry, model)
    ]
    return tuple(sorted(rows, key=lambda row: (row.state == "unusable", -(row.over_default or 0))))


def table_rows(rows: tuple[EngineFacts, ...]) -> list[tuple[str, ...]]:
    """Return the cells of `COLUMNS` for each engine."""
    return [
        (
            f"{row.backend} {row.backend_version} {row.precision}".strip() or row.entry,
            f"{row.batch} {row.mode}".strip(),
            f"{row.state}: {'; '.join(row.missed)}" if row.missed else row.state,
            "" if row.top1_agreement is None else f"{row.top1_agreement:.2%}",
            "" if row.over_default is None else f"{row.over_default:.2f} x",
            row.device,
        )
        for row in rows
    ]


def _is_of(entry: Entry, model: Model) -> bool:
    sidecar = entry.sidecar
    return model.digest in (sidecar.key.model_digest, sidecar.spec.reference_digest)


def _facts(entry: Entry) -> EngineFacts:
    key, verdict, speed = entry.sidecar.key, entry.sidecar.verdict, entry.sidecar.speed
    judged = "not judged" if verdict is None else "accepted" if verdict.accepted else "rejected"
    top1 = verdict.figures.get("top1_agreement") if verdict else None
    return EngineFacts(
        entry=entry.place.name,
        state=judged,
        missed=verdict.missed if verdict else (),
        backend=key.backend,
        backend_version=key.backend_version,
        precision=key.precision,
        batch=str(key.batch),
        mode=key.mode,
        device=f"{key.device} {key.driver}".strip(),
        top1_agreement=top1.value if top1 else None,
        over_default=speed.over_default if speed else None,
        frames_from=verdict.frames_from if verdict else "",
        created=entry.sidecar.created,
    )


def _unusable(error: EngineError) -> EngineFacts:
    return EngineFacts(entry=error.subject, state="unusable", missed=(error.problem,))
