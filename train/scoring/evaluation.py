"""What `stream evaluate` shows and leaves behind: text, JSON, predictions, figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

import msgspec

from stream.errors import UsageError
from stream.sources.discover import PHANTOM
from train.scoring.evaluate import Answers, Evaluation
from train.scoring.predictions import encode_csv, encode_sheet
from train.scoring.report import INTERVALS, draw_classes, draw_table, write_file

FEW_PEOPLE = 10


def draw_evaluation(found: Evaluation) -> str:
    """Return the evaluation as Markdown."""
    before = found.frames.uncalibrated_error
    ignored = ", ".join(f"{count} {label}" for label, count in found.ignored.items())
    few = f"Only {found.people.groups} people: too few for the intervals to mean much."
    lines = [
        *([f"**{found.banner}**", ""] if found.banner else []),
        f"# {found.model} on {', '.join(found.data)}",
        "",
        f"{found.engine}; model sha256 {found.model_digest}. {INTERVALS}",
        "",
        found.origin,
        *(["", few] if found.people.groups < FEW_PEOPLE else []),
        "",
        draw_table({"frames": found.frames, "clips": found.clips, "people": found.people}),
        "",
        draw_classes({"frame": found.frames, "clip": found.clips, "person": found.people}),
        "",
        f"Calibration error {before} before, {found.frames.calibration_error} after temperature.",
        *([f"Left out: {ignored}."] if ignored else []),
        *found.problems,
    ]
    return "\n".join(lines) + "\n"


def claim_folder(out: Path, data: Sequence[str]) -> None:
    """Make sure that `out` can be written and that nothing in it would be read as data.

    Raises
    ------
    UsageError
        C08 when it lies inside the data or cannot be written.
    """
    for entry in data:
        if not entry.startswith(PHANTOM) and out.resolve().is_relative_to(Path(entry).resolve()):
            problem = f"lies inside the data {entry}"
            raise UsageError(str(out), problem, "choose another --out", fault="C08")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise UsageError(str(out), problem, "choose another --out", fault="C08") from error


def write_evaluation(found: Evaluation, answers: Answers, out: Path) -> list[str]:
    """Write evaluation.json and .md, predictions.csv and, where their libraries are, more.

    Returns
    -------
    one sentence for each thing that could not be made here

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    write_file(out / "evaluation.json", msgspec.json.format(msgspec.json.encode(found), indent=2))
    write_file(out / "evaluation.md", draw_evaluation(found).encode())
    rows = list(_predictions(answers))
    write_file(out / "predictions.csv", encode_csv(rows))
    missing = []
    if find_spec("openpyxl"):
        write_file(out / "predictions.xlsx", encode_sheet(rows))
    else:
        missing.append("No predictions.xlsx: it needs openpyxl.")
    if find_spec("matplotlib"):
        _draw_figures(answers, out / "figures")
    else:
        missing.append("No figures: they need matplotlib.")
    return missing


def _predictions(answers: Answers) -> Iterator[list[str | int | float]]:
    """Yield a heading and one row per frame."""
    classes, scored = answers.model.spec.classes, answers.scored
    head = ["source", "name", "index", "person", "truth", "predicted"]
    yield [*head, *(f"probability {name}" for name in classes), "in training list"]
    seen: Sequence[bool | None] = answers.seen.frames or [None] * len(answers.truths)
    for truth, probs, known in zip(answers.truths, scored.probs, seen, strict=True):
        said = {None: "unknown", True: "yes", False: "no"}[known]
        names: list[str | int | float] = [truth.source, truth.name, truth.index, truth.group]
        labels = [classes[truth.label], classes[int(probs.argmax())]]
        yield [*names, *labels, *(round(float(p), 6) for p in probs), said]


def _draw_figures(answers: Answers, folder: Path) -> None:
    from train.figures.canvas import Caption
    from train.figures.standard import draw_all

    data = ", ".join(Path(entry).name or entry for entry in answers.data)
    told = "" if answers.seen.banner else f" {answers.seen.origin}"
    caption = Caption(f"{answers.model.name} on {data}, frames.{told}", answers.seen.banner)
    classes = answers.model.spec.classes
    draw_all(answers.scored, answers.features, classes, [], folder, caption)
