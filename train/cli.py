"""Bodies of `stream train`, `stream evaluate` and `stream pointing`.

Only the first imports torch, and only when it runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from stream import console


def train(
    recipe: str,
    /,
    *,
    data: Path | None = None,
    weights: Path | None = None,
    profile: str = "sound",
    variant: list[str] | None = None,
    out: Path = Path("runs"),
    seed: int | None = None,
    input_px: int | None = None,
    attribution: list[str] | None = None,
    allow_leak: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    quick: bool = False,
) -> None:
    """Train a recipe's networks, export the best one and measure it on held-out data.

    Writes OUT/NAME/model.onnx, its card model.md, metrics.json, metrics.md, history.csv,
    figures/, audit.html and the recipe as it was run.

    Parameters
    ----------
    recipe
        Name of a shipped recipe (auto-pcos, fibroid, lung, mura-hybrid, pcos-mobilenet,
        phantom-kidney, puj) or path of a TOML file.
    data
        Table (CSV, Excel) or folder of labelled frames or clips; recipes that generate their
        clips take none.
    weights
        File of pretrained weights, folder with one file per backbone, or the word random for
        none; timm fetches its own when absent.
    profile
        sound (our default) or original (what the recipe's authors did).
    variant
        Networks to train, in place of the recipe's choice. May be given several times.
    out
        Folder of the run folders.
    seed
        Seed of everything random, in place of the recipe's.
    input_px
        Side of the model input, in place of the recipe's.
    attribution
        Methods that explain the frames that matter most, in place of the recipe's: cam, grad-cam,
        gradient, gradient-saturation, integrated-gradients, smooth-grad, lime. May be given
        several times.
    allow_leak
        Train although the same person, clip or near-copy is on both sides of the split. The
        model and every figure say so.
    resume
        Go on with an interrupted run of the same recipe and data; its results are the same.
    overwrite
        Replace a run that is already in the folder.
    quick
        Tiny run that only shows that everything works; its figures mean nothing.
    """
    from train.command import Order, run_recipe

    order = Order(
        recipe,
        data,
        weights,
        out,
        seed,
        quick,
        profile,
        tuple(variant or ()),
        allow_leak,
        resume,
        overwrite,
        input_px,
        tuple(attribution or ()),
    )
    report, path = run_recipe(order, _tell)
    if report:  # only the first of several processes has one
        console.say(report)
        console.say(f"model: {path}")


def evaluate(
    model: Path,
    /,
    *,
    data: list[str],
    out: Path | None = None,
    engine: str = "auto",
    recipe: str | None = None,
    ignore_unknown: bool = False,
    json: bool = False,
) -> None:
    """Measure a model on labelled data that it has not seen.

    Per frame, per clip and per person (means of their frames' probabilities), each figure with a
    95 % interval that resamples people. Says so on top when the model was trained on the data.

    Parameters
    ----------
    model
        ONNX model made by `stream train`.
    data
        Tables with columns file,label (and if known patient, source), folders whose sub-folders
        are named like classes, or phantom: addresses. May be given several times.
    out
        Folder for evaluation.json, evaluation.md, predictions.csv and .xlsx, and figures.
    engine
        Runtime: auto, openvino or onnxruntime.
    recipe
        Recipe that says how labels are written in the data, where they are not class names.
    ignore_unknown
        Leave out, and count, what is labelled with a class that the model does not know.
    json
        Print JSON instead of tables.
    """
    from train.data.layout import PLAIN
    from train.scoring.evaluate import ask_model, judge
    from train.scoring.evaluation import claim_folder, draw_evaluation, write_evaluation

    layout = PLAIN
    if recipe is not None:
        from train.study import read_study

        layout = read_study(recipe).first.layout
    if out is not None:
        claim_folder(out, data)
    answers = ask_model(model, data, engine, ignore_unknown, layout)
    found = judge(answers)
    if json:
        console.show_json(found)
    else:
        console.say(draw_evaluation(found))
    if out is not None:
        for sentence in write_evaluation(found, answers, out):
            console.warn(sentence)


def pointing(
    model: Path,
    /,
    *,
    sources: list[str] | None = None,
    seeds: int = 40,
    frames: int = 6,
    engine: str = "auto",
    json: bool = False,
) -> None:
    """Measure how often the peak of the positive class map lies inside the finding.

    Parameters
    ----------
    model
        ONNX model made by `stream train`.
    sources
        phantom: addresses; by default held-out seeds of the model's own kind.
    seeds
        How many held-out seeds when no sources are given.
    frames
        Frames per clip, evenly spaced.
    engine
        Runtime: auto, openvino or onnxruntime.
    json
        Print JSON instead of a line.
    """
    from train.scoring.pointing import measure_pointing

    found = measure_pointing(model, sources, seeds, frames, engine)
    if json:
        console.show_json(found)
    else:
        console.say(str(found))


def _tell(line: str) -> None:
    """Report progress of a long run, on stderr."""
    print(line, file=sys.stderr, flush=True)


def audit(
    place: Path,
    /,
    *,
    recipe: str | None = None,
    out: Path | None = None,
    strict: bool = False,
    json: bool = False,
) -> int:
    """Check labelled data before anything is trained on it.

    Looks for copies, copies with different labels, leaks between splits or folds, unreadable
    files, burned-in text and reversed labels, and estimates what a random split would hide.
    Finding problems is the job, so the exit status is 0; with `--strict` it is 2 where there are
    any.

    Parameters
    ----------
    place
        A table with columns file,label, a folder with one, class folders, folders
        train, val, test of class folders, or a MURA tree.
    recipe
        Recipe whose names of columns and labels the data has.
    out
        Folder for audit.json and audit.html.
    strict
        Exit with 2 when problems are found.
    json
        Print JSON instead of a summary.
    """
    from train.audit import audit_rows, summarise_audit, write_audit
    from train.data.layout import PLAIN, read_rows
    from train.scoring.evaluation import claim_folder
    from train.study import read_study

    if out is not None:
        claim_folder(out, [str(place)])
    layout = read_study(recipe).first.layout if recipe else PLAIN
    with console.progress(f"audit {place.name}") as tick:
        found = audit_rows(read_rows(place, layout), place, layout, tick)
    if out is not None:
        write_audit(found, out)
    if json:
        console.show_json(found)
    else:
        console.say(summarise_audit(found))
    return 2 if strict and found.problems else 0
