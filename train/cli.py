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
    out: Path = Path("runs"),
    seed: int | None = None,
    quick: bool = False,
) -> None:
    """Train a recipe and export its model with held-out figures.

    Writes OUT/NAME/NAME.onnx, metrics.json, metrics.md and the recipe as it was run.

    Parameters
    ----------
    recipe
        Name of a shipped recipe (phantom-kidney, lung) or path of a TOML file.
    data
        Folder with frames.csv, or such a table; recipes that generate their clips take none.
    weights
        File of ImageNet weights; timm fetches its own when absent.
    out
        Folder of the run folders.
    seed
        Seed of everything random, in place of the recipe's.
    quick
        Tiny run that only shows that everything works; its figures mean nothing.
    """
    from train.command import Order, run_recipe

    report, path = run_recipe(Order(recipe, data, weights, out, seed, quick), _tell)
    console.say(report)
    console.say(f"model: {path}")


def evaluate(
    model: Path,
    /,
    *,
    data: list[str],
    out: Path | None = None,
    engine: str = "auto",
    ignore_unknown: bool = False,
    json: bool = False,
) -> None:
    """Measure a model on labelled data that it has not seen.

    Per frame and per clip (the mean of its frames' probabilities), with 95 % intervals that
    resample people.

    Parameters
    ----------
    model
        ONNX model made by `stream train`.
    data
        Tables with columns file,label (and if known patient, source), folders whose sub-folders
        are named like classes, or phantom: addresses. May be given several times.
    out
        Folder for evaluation.json and evaluation.md.
    engine
        Runtime: auto, openvino or onnxruntime.
    ignore_unknown
        Leave out, and count, what is labelled with a class that the model does not know.
    json
        Print JSON instead of tables.
    """
    from train.evaluate import draw_evaluation, evaluate_model, write_evaluation

    found = evaluate_model(model, data, engine, ignore_unknown)
    if out is not None:
        write_evaluation(found, out)
    if json:
        console.show_json(found)
    else:
        console.say(draw_evaluation(found))


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
    from train.pointing import measure_pointing

    found = measure_pointing(model, sources, seeds, frames, engine)
    if json:
        console.show_json(found)
    else:
        console.say(str(found))


def _tell(line: str) -> None:
    """Report progress of a long run, on stderr."""
    print(line, file=sys.stderr, flush=True)
