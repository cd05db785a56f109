"""What `stream doctor --gpu` finds, as JSON for programs and Markdown for people."""

from __future__ import annotations

import platform
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import msgspec

from engines.errors import EngineError
from engines.options import Precision
from stream.session.manifest import utc_now, versions

NAME = "gpu-report"
GPU_LIBRARIES = ("pycuda", "cuda-bindings")
COLUMNS = ("precision", "agrees", "difference", "map", "build s", "p50/p99 ms, frames/s", "says")
KERNEL_MODULE = Path("/proc/driver/nvidia/version")


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One batch size: milliseconds of single runs, frames per second with all slots in use."""

    batch: int
    p50_ms: float
    p99_ms: float
    rate_hz: float


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one precision.

    Parameters
    ----------
    agrees : within the limit for a probability; False where `error` stopped the trial
    probs_difference, cam_difference : largest, from ONNX Runtime; the map's over its largest value
    error : the line that a user sees, TensorRT's own words included; empty when all went well
    layers : what TensorRT made of the graph
    log : what was said while building and running
    """

    precision: Precision
    model: str
    agrees: bool = False
    probs_difference: float | None = None
    cam_difference: float | None = None
    built_s: float | None = None
    plan_bytes: int | None = None
    timings: tuple[Timing, ...] = ()
    error: str = ""
    layers: tuple[dict[str, Any], ...] = ()
    log: tuple[str, ...] = ()


class GpuReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to judge the TensorRT path from afar; no picture, no name of a person.

    Parameters
    ----------
    device : card and compute capability, empty without one
    error : why nothing could be tried, or empty
    """

    created: str
    system: str
    versions: dict[str, str]
    tensorrt: str = ""
    device: str = ""
    driver: str = ""
    kernel_module: str = ""
    error: str = ""
    trials: tuple[Trial, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every precision was built and agrees."""
        return bool(self.trials) and all(trial.agrees for trial in self.trials)


def describe_machine(**found: Any) -> GpuReport:
    """Return a report with what is known of every machine, and with what was found on this one."""
    return GpuReport(
        created=utc_now(),
        system=platform.platform(),
        versions=versions() | _gpu_versions(),
        kernel_module=KERNEL_MODULE.read_text().split("\n")[0] if KERNEL_MODULE.exists() else "",
        **found,
    )


def _gpu_versions() -> dict[str, str]:
    installed = {d.name: d.version for d in distributions() if d.name in GPU_LIBRARIES}
    return {name: installed.get(name, "not installed") for name in GPU_LIBRARIES}


def write_report(folder: Path, report: GpuReport) -> None:
    """Write ``gpu-report.json`` and ``gpu-report.md``.

    Raises
    ------
    EngineError
        If they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = msgspec.json.format(msgspec.json.encode(report), indent=1)
        (folder / f"{NAME}.json").write_bytes(text + b"\n")
        (folder / f"{NAME}.md").write_text(_markdown(report))
    except OSError as error:
        raise EngineError(str(folder), f"the report cannot be written: {error.strerror}") from error


def table_rows(report: GpuReport) -> list[tuple[str, ...]]:
    """Return one row of `COLUMNS` for each trial."""
    return [
        (
            trial.precision,
            "yes" if trial.agrees else "NO",
            _figure(trial.probs_difference, ".1e"),
            _figure(trial.cam_difference, ".1e"),
            _figure(trial.built_s, ".1f"),
            "; ".join(
                f"{t.batch}: {t.p50_ms:.2f}/{t.p99_ms:.2f}, {t.rate_hz:.0f}" for t in trial.timings
            ),
            trial.error or f"{len(trial.layers)} layers",
        )
        for trial in report.trials
    ]


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _markdown(report: GpuReport) -> str:
    facts = {
        "created": report.created,
        "system": report.system,
        "TensorRT": report.tensorrt,
        "card": report.device,
        "driver": f"{report.driver} {report.kernel_module}".strip(),
        "error": report.error,
        **report.versions,
    }
    lines = ["# TensorRT on this machine", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items() if value]
    rows = [COLUMNS, ("---",) * len(COLUMNS), *table_rows(report)]
    lines += ["", *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)]
    for trial in report.trials:
        lines += ["", f"## {trial.precision}: what was said", "", *(f"    {x}" for x in trial.log)]
    return "\n".join(lines) + "\n"
