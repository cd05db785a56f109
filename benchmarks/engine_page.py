"""Writes the measured part of docs/engines.md and its plot from runs of the engine benchmark.

``python -m benchmarks.engine_page runs/bench_engines.json``; models of several files, such as
runs judged on different frames, stand below each other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.budgets import judge, read_budgets
from benchmarks.engine_frontier import draw_frontier
from benchmarks.report_file import read_report
from benchmarks.result import Part, Report, median
from calib.limits import LIMITS

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PLOT = DOCS / "engines.md", DOCS / "images" / "frontier.svg"
FIGURES = DOCS / "figures" / "bench_engines.json"
HEAD = (
    "| engine | frames/s at batch 1, 4, 8, 32 | x FP32 (range over rounds) "
    "| p50 / p95 / p99 ms, batch 1 | MiB, batch 1 to 32 | start cold / cached s "
    "| top-1 | largest change | gate |"
)


def write_page(reports: Sequence[Report]) -> None:
    """Replace what stands between the marks of the page, and draw the plot."""
    parts = [part for report in reports for part in report.parts if part.name == "engines"]
    text = fill(PAGE.read_text(), "measured", show_results(reports[0], parts))
    PAGE.write_text(fill(text, "limits", "\n".join(show_limits())))
    models = [model for part in parts for model in part.details["models"]]
    PLOT.write_text(draw_frontier(models, read_budgets()["engines"].at_least))


def fill(text: str, name: str, part: str) -> str:
    """Return a page with what stands between the marks of that name replaced."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{part}\n{end}{after}"


def show_limits() -> Iterator[str]:
    """Yield the gate's limits as a table."""
    yield "| figure | limit | why |"
    yield "|---|---|---|"
    for limit in LIMITS:
        yield f"| `{limit.figure}` | {limit.words} | {limit.why} |"


def show_results(first: Report, parts: Sequence[Part]) -> str:
    """Return the measured part as Markdown; the machine is that of the first run."""
    machine, length = first.machine, parts[0].details
    models = [model for part in parts for model in part.details["models"]]
    card = "" if machine.get("gpu", "none") == "none" else f"{machine['gpu']}, "
    runtimes = ", ".join(f"{name} {machine[name]}" for name in ("openvino", "onnxruntime"))
    lines = [
        f"Measured on {first.created[:10]}: {machine['cores']} cores of an {machine['processor']}, "
        f"{card}{machine['system']}, {runtimes}, Python {machine['python']}, commit "
        f"{machine['commit']}; {length['rounds']} rounds of {length['round_s']} s.",
        "",
    ]
    for model in models:
        lines += [*_show_model(model), ""]
    if any(model.get("bounds") for model in models):
        lines += ["### On the card", "", *_show_card(models), ""]
    missed = [verdict for verdict in judge(parts, read_budgets()) if verdict.fails]
    lines += ["### Budgets", ""]
    lines += [f"- **Missed:** {verdict}." for verdict in missed] or ["All were kept."]
    lines += ["", "### What the maps cost", "", *_show_maps(models)]
    lines += ["", "### What an explanation costs", "", *_show_explanations(models)]
    lines += ["", "### INT8 variants", "", *_show_variants(models)]
    return "\n".join(lines)


def _show_model(model: dict[str, Any]) -> Iterator[str]:
    yield f"### {model['label']}"
    yield ""
    if model["trained"]:
        yield f"Judged on {model['judged_on']}. INT8: {model['int8']}."
    else:
        yield "Random weights: speed only; an accuracy would mean nothing."
    yield ""
    yield HEAD
    yield "|" + "---|" * (HEAD.count("|") - 1)
    for rows in _by_engine(model["rows"]):
        yield _show_engine(rows)


def _by_engine(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of one engine and mode, smallest batch first."""
    keys = dict.fromkeys((row["backend"], row["precision"], row["mode"]) for row in rows)
    for key in keys:
        yield [row for row in rows if (row["backend"], row["precision"], row["mode"]) == key]


def _show_engine(rows: Sequence[dict[str, Any]]) -> str:
    first = rows[0]
    name = f"{first['backend']} {first['precision']}, {first['mode']}"
    if all("not_run" in row for row in rows):
        return f"| {name} | not run: {first['not_run']} " + "| " * 7 + "|"
    ran = [row for row in rows if "fps" in row]
    cells = (
        " / ".join(f"{row['fps']:.3g}" if "fps" in row else "not run" for row in rows),
        " / ".join([_show_spread(ran[0]), *(f"{row['over_fp32']:.2f}" for row in ran[1:])]),
        " / ".join(f"{ran[0][part]:.1f}" for part in ("p50_ms", "p95_ms", "p99_ms")),
        *_show_start(ran),
        *_show_gate(ran[0]["gate"]),
    )
    return f"| {name} | " + " | ".join(cells) + " |"


def _show_spread(row: dict[str, Any]) -> str:
    low, high = row["over_fp32_min"], row["over_fp32_max"]
    return f"{row['over_fp32']:.2f} ({low:.2f} to {high:.2f})"


def _show_start(ran: Sequence[dict[str, Any]]) -> tuple[str, str]:
    started = [row for row in ran if "memory_mib" in row]
    if not started:
        return "", ""
    memory = " to ".join(f"{row['memory_mib']:.0f}" for row in started)
    return memory, f"{started[0]['cold_s']:.2f} / {started[0]['cached_s']:.2f}"


def _show_gate(gate: dict[str, Any] | None) -> tuple[str, str, str]:
    if gate is None:
        return "", "", ""
    verdict = "accepted" if gate["accepted"] else "**rejected**: " + _name_missed(gate)
    if "top1_agreement" not in gate:
        return "", "", verdict
    return f"{gate['top1_agreement']:.3f}", f"{gate['prob_change_max']:.3f}", verdict


def _name_missed(gate: dict[str, Any]) -> str:
    return ", ".join(line.partition(":")[0] for line in gate["missed"])


def _show_card(models: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the share of time in which the card works, and of the rate that its memory allows."""
    yield "| model | engine | batch | frames/s | p50 / p99 ms | GPU busy | of memory bandwidth |"
    yield "|---|---|---|---|---|---|---|"
    for model in [model for model in models if model.get("bounds")]:
        for row in [row for row in model["rows"] if "fps" in row]:
            busy = f"{median(row['busy_rounds']):.0%}" if "busy_rounds" in row else ""
            bounds = [bound["fps_rounds"] for bound in model["bounds"] if _is_of(bound, row)]
            reached = f"{row['fps'] / median(bounds[0]):.1%}" if bounds else ""
            yield (
                f"| {model['label']} | {row['backend']} {row['precision']} | {row['batch']} "
                f"| {row['fps']:.3g} | {row['p50_ms']:.2f} / {row['p99_ms']:.2f} "
                f"| {busy} | {reached} |"
            )


def _is_of(bound: dict[str, Any], row: dict[str, Any]) -> bool:
    return all(bound[key] == row[key] for key in ("precision", "batch"))


def _show_maps(models: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| model | engine | with maps ms | logits and probs only ms | cost (range over rounds) |"
    yield "|---|---|---|---|---|"
    for model in models:
        for part in model["cam"]:
            low, high = part["ratio_min"] - 1, part["ratio_max"] - 1
            yield (
                f"| {model['label']} | {part['backend']} {part['precision']} "
                f"| {part['whole_ms']:.2f} | {part['plain_ms']:.2f} "
                f"| {part['ratio'] - 1:+.1%} ({low:+.1%} to {high:+.1%}) |"
            )


def _show_explanations(models: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| model | backend | what | ms | plain runs |"
    yield "|---|---|---|---|---|"
    for model in models:
        for part in model["explain"]:
            yield (
                f"| {model['label']} | {part['backend']} | {part['what']} "
                f"| {part['ms']:.0f} | {part['ratio']:.1f} |"
            )


def _show_variants(models: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| model | no. | calibrator | left in float | x FP32 | top-1 | SNR dB | gate |"
    yield "|---|---|---|---|---|---|---|---|"
    for model in models:
        for number, row in enumerate(model["variants"], 1):
            top1, _, verdict = _show_gate(row["gate"])
            snr = row["gate"].get("logit_snr_db", float("nan"))
            yield (
                f"| {model['label']} | {number} | {row['calibrator']} | {row['left']} "
                f"| {row['over_fp32']:.2f} | {top1} | {snr:.1f} | {verdict} |"
            )


def main(paths: Sequence[Path]) -> None:
    """Keep the figures beside the page, and write the page."""
    reports = [read_report(path) for path in paths]
    write_page(reports)
    FIGURES.write_bytes(msgspec.json.format(msgspec.json.encode(reports), indent=1) + b"\n")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
