"""Settings of an analysis: defaults here, a TOML file overrides them, a flag overrides the file."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stream.errors import UsageError

MAX_CONFIG_BYTES = 1 << 16

Share = Annotated[float, Meta(ge=0, le=1)]


class AnalysisConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How predictions become labels, key frames and a verdict.

    Parameters
    ----------
    top_k : frames kept
    score : name of the ranking score, see `stream.analysis.score`
    every : analyse each n-th frame; the others are counted as skipped
    smoothing_s : time constant of the probability average; 0 turns it off
    hold_s : a new label must lead this long before it is shown
    margin : half width of the uncertain band about the threshold, in probability
    moment_s : frames nearer than this count as the same moment when ranking
    diversity : price of similarity between kept frames, in units of score
    verdict_share : share of valid frames that must show the finding for the clip to show it
    frame_s : assumed frame period where a source has no clock
    """

    top_k: Annotated[int, Meta(ge=1, le=20)] = 5
    score: str = "evidence-v1"
    every: Annotated[int, Meta(ge=1, le=100_000)] = 1
    smoothing_s: Annotated[float, Meta(ge=0, le=60)] = 0.3
    hold_s: Annotated[float, Meta(ge=0, le=60)] = 0.2
    margin: Annotated[float, Meta(ge=0, lt=0.5)] = 0.1
    moment_s: Annotated[float, Meta(gt=0, le=3600)] = 1.0
    diversity: Share = 0.5
    verdict_share: Annotated[float, Meta(gt=0, le=1)] = 0.2
    frame_s: Annotated[float, Meta(gt=0, le=60)] = 0.04


def load_config(path: Path | None, flags: dict[str, Any]) -> AnalysisConfig:
    """Merge the defaults, a TOML file and flags that were given.

    Parameters
    ----------
    path : TOML file with keys of `AnalysisConfig`, or None
    flags : values by key; None means not given

    Raises
    ------
    UsageError
        C06 for an unknown key or a value outside its range, C07 for a file that is too large.
    """
    values = _read_toml(path) if path else {}
    values |= {key: value for key, value in flags.items() if value is not None}
    subject = path.name if path else "settings"
    unknown = sorted(values.keys() - set(AnalysisConfig.__struct_fields__))
    if unknown:
        hints = "; ".join(_nearest(key) for key in unknown)
        raise UsageError(subject, f"unknown keys {', '.join(unknown)}", hints, fault="C06")
    try:
        return msgspec.convert(values, AnalysisConfig)
    except msgspec.ValidationError as error:
        key = str(error).rpartition("$.")[2].rstrip("`")
        raise UsageError(
            subject, f"{key} = {values.get(key)!r}", str(error), fault="C06"
        ) from error


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key, AnalysisConfig.__struct_fields__, 1)
    known = ", ".join(AnalysisConfig.__struct_fields__)
    return f"did you mean {near[0]!r}?" if near else f"keys are {known}"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise UsageError(path.name, "no such file", "expected a short TOML file", fault="C06")
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            raise UsageError(path.name, "larger than 64 KiB", "expected a short file", fault="C07")
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise UsageError(
            path.name, "nested too deep", "expected a flat file", fault="C07"
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(path.name, f"cannot be read as TOML: {error}", fault="C06") from error
