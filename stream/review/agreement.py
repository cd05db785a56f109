"""How far readers agree beyond chance, with what they were compared on and an interval."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.metrics import cohen_kappa_score

from stream.review.records import Labels

DRAWS = 1000
SEED = 20
_LEVEL = (2.5, 97.5)


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of agreement.

    Parameters
    ----------
    of : "frames" or "clips"
    readers : who was compared
    measure : "Cohen's kappa" or "Fleiss' kappa"
    n : frames or clips that all of them judged
    clips : sessions that those come from
    same : share on which all agree; None when n is 0
    kappa : None where chance alone gives full agreement (one category) or n is 0
    interval : 95 % percentile bootstrap, or None where it cannot be had
    resampled : what was drawn
    """

    of: str
    readers: tuple[str, ...]
    measure: str
    n: int
    clips: int
    same: float | None
    kappa: float | None
    interval: tuple[float, float] | None
    resampled: str


@dataclass(frozen=True, slots=True, eq=False)
class _Ratings:
    """Categories by unit and reader (n, R), as small numbers, and the session of each unit (n,)."""

    values: NDArray[np.int64]
    sessions: NDArray[np.int64]


def compare_readers(sessions: Mapping[str, Mapping[str, Labels]]) -> list[Agreement]:
    """Compare readers, two and two, and all at once where there are more than two.

    A rejected frame counts as a category of its own. Frames of one clip resemble each other, so
    the bootstrap draws clips; with fewer than two clips it draws frames, and says so.

    Parameters
    ----------
    sessions : labels by reader, by name of the session

    References
    ----------
    Cohen, Educ. Psychol. Meas. 20 (1960) 37-46; Fleiss, Psychol. Bull. 76 (1971) 378-382.
    """
    readers = sorted({name for labels in sessions.values() for name in labels})
    groups: list[tuple[str, ...]] = list(itertools.combinations(readers, 2))
    if len(readers) > 2:
        groups.append(tuple(readers))
    return [_compare(sessions, group, of) for of in ("frames", "clips") for group in groups]


def _compare(
    sessions: Mapping[str, Mapping[str, Labels]], readers: tuple[str, ...], of: str
) -> Agreement:
    ratings = _gather(sessions, readers, of)
    measure = _cohen if len(readers) == 2 else _fleiss
    by_clip = of == "frames" and len(set(ratings.sessions.tolist())) > 1
    groups = ratings.sessions if by_clip else np.arange(len(ratings.sessions))
    weights = np.ones(len(groups))
    same = (ratings.values == ratings.values[:, :1]).all(axis=1)
    return Agreement(
        of=of,
        readers=readers,
        measure="Cohen's kappa" if len(readers) == 2 else "Fleiss' kappa",
        n=len(groups),
        clips=len(set(ratings.sessions.tolist())),
        same=float(same.mean()) if len(same) else None,
        kappa=measure(ratings.values, weights),
        interval=_interval(ratings.values, groups, measure),
        resampled="clips" if by_clip or of == "clips" else "frames of one clip",
    )


def _gather(
    sessions: Mapping[str, Mapping[str, Labels]], readers: Sequence[str], of: str
) -> _Ratings:
    """Return what all of these readers judged."""
    known: dict[str, int] = {}
    rows, places = [], []
    for number, name in enumerate(sorted(sessions)):
        calls = [_calls(sessions[name].get(reader), of) for reader in readers]
        for unit in sorted(set.intersection(*(set(one) for one in calls))):
            rows.append([known.setdefault(one[unit], len(known)) for one in calls])
            places.append(number)
    values = np.array(rows, np.int64).reshape(len(rows), len(readers))
    return _Ratings(values, np.array(places, np.int64))


def _calls(labels: Labels | None, of: str) -> dict[Any, str]:
    if labels is None:
        return {}
    if of == "frames":
        return {place: call.category for place, call in labels.frames.items()}
    return {0: labels.clip.category} if labels.clip else {}


def _cohen(values: NDArray[np.int64], weights: NDArray[np.float64]) -> float | None:
    kept = values[weights > 0]
    if len(kept) == 0 or len(np.unique(kept)) < 2:
        return None
    return float(cohen_kappa_score(values[:, 0], values[:, 1], sample_weight=weights))


def _fleiss(values: NDArray[np.int64], weights: NDArray[np.float64]) -> float | None:
    """Return Fleiss' kappa; `weights` say how often each row counts."""
    total, readers = weights.sum(), values.shape[1]
    if not total:
        return None
    counts = np.stack([(values == c).sum(axis=1) for c in range(int(values.max()) + 1)], axis=1)
    agreed = (counts * (counts - 1)).sum(axis=1) / (readers * (readers - 1))
    observed = float(weights @ agreed) / total
    expected = float((((weights @ counts) / (total * readers)) ** 2).sum())
    return (observed - expected) / (1 - expected) if expected < 1 else None


def _interval(
    values: NDArray[np.int64], groups: NDArray[np.int64], measure: Any
) -> tuple[float, float] | None:
    """Draw whole groups with replacement; a draw with one category only has no kappa."""
    names, members = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return None
    random = np.random.default_rng(SEED)
    found = []
    with config_context(skip_parameter_validation=True):  # it costs more than the measure
        for _ in range(DRAWS):
            drawn = random.integers(len(names), size=len(names))
            times = np.bincount(drawn, minlength=len(names))
            kappa = measure(values, times[members].astype(np.float64))
            if kappa is not None:
                found.append(kappa)
    if len(found) < DRAWS // 2:
        return None
    low, high = np.percentile(found, _LEVEL)
    return float(low), float(high)


def describe(found: Iterable[Agreement]) -> list[tuple[str, ...]]:
    """Return one row of words for each measure."""
    return [
        (
            one.of,
            ", ".join(one.readers),
            one.measure,
            f"{one.n} in {one.clips}" if one.of == "frames" else str(one.n),
            "" if one.same is None else f"{one.same:.0%}",
            "none" if one.kappa is None else f"{one.kappa:.2f}",
            "none" if one.interval is None else f"{one.interval[0]:.2f} to {one.interval[1]:.2f}",
            one.resampled,
        )
        for one in found
    ]


COLUMNS = ("of", "readers", "measure", "n (in clips)", "same", "kappa", "95 % interval", "drawn")
