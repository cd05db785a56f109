"""Writes the measured part of docs/engines.md and its plot from a run of the engine benchmark.

``python -m benchmarks.engine_page runs/bench_engines.json``
"""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench_engines import BUDGETS, find_missed
from benchmarks.engine_frontier import draw_frontier

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PLOT = DOCS / "engines.md", DOCS / "images" / "frontier.svg"
FIGURES = DOCS / "figures" / "bench_engines.json"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEAD = (
    "| engine | frames/s at batch 1, 4, 8, 32 | x FP32 at the same | p50 / p95 / p99 ms, batch 1 "
    "| MiB, batch 1 to 32 | start cold / cached s | top-1 | largest change | gate |"
)


def write_page(result: dict[str, Any]) -> None:
    """Replace what stands between the marks of the page, and draw the plot."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{show_result(result)}\n{END}{after}")
    least = tomllib.loads(BUDGETS.read_text())["engines"]["at_least"]
    PLOT.write_text(draw_frontier(result["models"], least))


def show_result(result: dict[str, Any]) -> str:
    """Return the measured part as Markdown."""
    machine = result["machine"]
    runtimes = ", ".join(f"{name} {machine[name]}" for name in ("openvino", "onnxruntime"))
    lines = [
        f"Measured on {result['date']}: {machine['cores']} cores of an {machine['processor']}, "
        f"{machine['system']}, {runtimes}, Python {machine['python']}, commit "
        f"{machine['commit']}; {result['rounds']} rounds of {result['round_s']} s.",
        "",
    ]
    for model in result["models"]:
        lines += [*_show_model(model), ""]
    missed = find_missed(result["models"])
    lines += ["### Budgets", ""]
    lines += [f"- **Missed:** {line}." for line in missed] or ["All were kept."]
    lines += ["", "### What the maps cost", "", *_show_maps(result["models"])]
    lines += ["", "### What an explanation costs", "", *_show_explanations(result["models"])]
    lines += ["", "### INT8 variants", "", *_show_variants(result["models"])]
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
        " / ".join(f"{row['over_fp32']:.2f}" for row in ran),
        " / ".join(f"{ran[0][part]:.1f}" for part in ("p50_ms", "p95_ms", "p99_ms")),
        *_show_start(ran),
        *_show_gate(ran[0]["gate"]),
    )
    return f"| {name} | " + " | ".join(cells) + " |"


def _show_start(ran: Sequence[dict[str, Any]]) -> tuple[str, str]:
    if "memory_mib" not in ran[0]:
        return "", ""
    memory = f"{ran[0]['memory_mib']:.0f} to {ran[-1]['memory_mib']:.0f}"
    return memory, f"{ran[0]['cold_s']:.2f} / {ran[0]['cached_s']:.2f}"


def _show_gate(gate: dict[str, Any] | None) -> tuple[str, str, str]:
    if gate is None:
        return "", "", ""
    verdict = "accepted" if gate["accepted"] else "**rejected**: " + _name_missed(gate)
    if "top1_agreement" not in gate:
        return "", "", verdict
    return f"{gate['top1_agreement']:.3f}", f"{gate['prob_change_max']:.3f}", verdict


def _name_missed(gate: dict[str, Any]) -> str:
    return ", ".join(line.partition(":")[0] for line in gate["missed"])


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
    yield "| model | calibrator | left in float | x FP32 | top-1 | SNR dB | gate |"
    yield "|---|---|---|---|---|---|---|"
    for model in models:
        for row in model["variants"]:
            top1, _, verdict = _show_gate(row["gate"])
            snr = row["gate"].get("logit_snr_db")
            yield (
                f"| {model['label']} | {row['calibrator']} | {row['left']} "
                f"| {row['over_fp32']:.2f} | {top1} | {snr:.1f} | {verdict} |"
            )


def main(path: Path) -> None:
    """Keep the figures beside the page, and write the page."""
    write_page(json.loads(path.read_text()))
    shutil.copyfile(path, FIGURES)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
