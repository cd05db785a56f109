"""The model card: what a model is, how good it is and what it is not for."""

from __future__ import annotations

from engines.spec import ModelSpec
from train.report import RunReport, draw_classes, draw_table


def draw_card(spec: ModelSpec, report: RunReport, command: str, pointing: str = "") -> str:
    """Return the card of an exported model as Markdown.

    Parameters
    ----------
    command : by which the model was made
    pointing : how well its map points at the finding, in words, or empty
    """
    rows = {"frames": report.frames, "clips": report.clips}
    calibration = report.calibration
    lines = [
        f"# {spec.name}",
        "",
        f"Intended use: {spec.intended_use}.",
        "",
        f"- Classes: {', '.join(spec.classes)}; positive: {spec.positive_class}.",
        f"- Input: {spec.input_wh[0]} x {spec.input_wh[1]} RGB, {spec.fit}.",
        f"- Licence: {spec.licence}.",
        f"- Made by `{command}`; seed {report.seed}; weights {report.weights}.",
        f"- Training list: sha256 `{spec.data_digest}`.",
        f"- Temperature {spec.temperature:.3f}: calibration error {calibration.error_before:.3f} "
        f"before, {calibration.error_after:.3f} after.",
        f"- Threshold {spec.threshold:.3f}: {spec.threshold_rule}.",
        f"- Gate: {spec.gate.rule if spec.gate else 'none'}.",
        "",
        "## Held-out figures",
        "",
        f"{spec.metrics_split} Intervals are 95 %, from 2000 draws of clips or people.",
        "",
        draw_table(rows),
        "",
        draw_classes({"frame": report.frames, "clip": report.clips}),
    ]
    if pointing:
        lines += ["", "## Saliency", "", f"{pointing}."]
    return "\n".join(lines) + "\n"
