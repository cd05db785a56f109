"""What `stream train` does: recipe and data in, model, figures and audit out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from engines.load import load_model
from stream.errors import UsageError
from train.audit import audit_rows, write_audit
from train.data.layout import read_rows
from train.data.prepare import Prepared, prepare_phantom, prepare_samples, read_samples
from train.data.samples import Sample
from train.fitting.ranks import is_first
from train.recipe import Recipe
from train.runs.finish import finish
from train.runs.folds import run_folds
from train.runs.illustrate import Showcase, illustrate, write_summary
from train.runs.parts import Outcome, run_parts
from train.runs.results import draw_card, draw_report, write_report
from train.runs.routing import run_cascade
from train.scoring.evaluation import claim_folder
from train.scoring.pointing import measure_pointing
from train.scoring.report import write_file
from train.study import SOUND, Study, read_study

CARD_SEEDS, CARD_FRAMES, QUICK_SEEDS = 60, 6, 6
QUICK_ENOUGH = 200
DRAWN = ("figures", "attribution")


@dataclass(frozen=True, slots=True)
class Order:
    """The arguments of one run; see `train.cli.train`."""

    recipe: str
    data: Path | None
    weights: Path | None
    out: Path
    seed: int | None = None
    quick: bool = False
    profile: str = SOUND
    variants: tuple[str, ...] = ()
    allow_leak: bool = False
    resume: bool = False
    overwrite: bool = False
    input_px: int | None = None
    attribution: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command line that gives this order, without folders."""
        words = ["stream train", Path(self.recipe).name]
        words += ["--data FOLDER"] if self.data else []
        words += [f"--weights {self.weights.name}"] if self.weights else []
        words += [f"--profile {self.profile}"] if self.profile != SOUND else []
        words += [f"--variant {name}" for name in self.variants]
        words += [f"--seed {self.seed}"] if self.seed is not None else []
        words += [f"--input-px {self.input_px}"] if self.input_px is not None else []
        words += [f"--attribution {name}" for name in self.attribution]
        words += ["--allow-leak"] if self.allow_leak else []
        return " ".join([*words, "--quick"] if self.quick else words)


def run_recipe(order: Order, say: Callable[[str], None]) -> tuple[str, Path]:
    """Carry out a recipe and return its report and the path of its model.

    Raises
    ------
    UsageError
        If the run folder lies inside the data or cannot be written, before any work; if recipe,
        data or weights cannot be used, the split leaks, or the run to resume is another one, before
        any training.
    StorageError
        If the disk fails later.
    """
    study = _read(order)
    data = _find_data(study.first, order.data)
    folder = order.out / (study.name if study.profile == SOUND else f"{study.name}-{study.profile}")
    if is_first():
        _open_folder(folder, study, data, order)
    else:
        say = _keep_quiet
    prepared = _prepare(study, data, folder, order, say)
    checkpoints = folder / "checkpoints"
    if is_first() and not order.resume:
        shutil.rmtree(checkpoints, ignore_errors=True)
    outcome = _run(study, prepared, order, checkpoints, say)
    path = folder / "model.onnx"
    if not is_first():
        return "", path
    _clear(folder)
    report, spec = finish(study, prepared, outcome, folder, say)
    load_model(path)
    write_report(report, outcome.history, folder)
    seeds = QUICK_SEEDS if order.quick else CARD_SEEDS
    generated = study.first.phantom is not None
    pointing = str(measure_pointing(path, None, seeds, CARD_FRAMES)) if generated else ""
    write_file(path.with_suffix(".md"), draw_card(spec, report, order.command, pointing).encode())
    if outcome.recipe.attribution:
        show = Showcase(prepared, outcome, spec, folder, order.quick)
        write_summary(show, report, illustrate(show, say), folder / "report.pdf")
    return draw_report(report), path


def _read(order: Order) -> Study:
    study = read_study(order.recipe, order.profile, order.variants)
    study = study.quickened() if order.quick else study
    changes = {
        "seed": order.seed,
        "input_px": order.input_px,
        "attribution": order.attribution or None,
    }
    return study.changed(**{name: value for name, value in changes.items() if value is not None})


def _find_data(recipe: Recipe, data: Path | None) -> Path | None:
    if recipe.phantom and data is not None:
        raise UsageError(
            recipe.name,
            f"--data {data} with a recipe that generates its clips",
            "leave --data out",
        )
    if recipe.phantom is None and data is None:
        raise UsageError(recipe.name, "no data", "give --data FOLDER, or a table of files")
    return data


def _open_folder(folder: Path, study: Study, data: Path | None, order: Order) -> None:
    """Make the run folder and write the recipe, unless an interrupted run goes on there.

    Raises
    ------
    UsageError
        C08 if it lies inside the data, cannot be written, or holds a run that is not to be
        replaced; if there is nothing to resume, or another recipe.
    """
    path, resolved = folder / "recipe.json", _resolved(study)
    taken = (folder / "model.onnx").exists() or any((folder / "checkpoints").glob("**/*"))
    if taken and not (order.resume or order.overwrite):
        remedy = "give --resume, --overwrite or another --out"
        raise UsageError(str(folder), "holds a run", remedy, fault="C08")
    if not order.resume:
        claim_folder(folder, [str(data)] if data else [])
        write_file(path, resolved)
    elif not path.is_file():
        raise UsageError(str(folder), "nothing to resume", "leave --resume out")
    elif path.read_bytes() != resolved:
        problem = "another recipe was run here; what differs is in recipe.json"
        raise UsageError(str(folder), problem, "give the same flags, or leave --resume out")


def _clear(folder: Path) -> None:
    """Remove what an earlier run drew and this one may not draw again."""
    for name in DRAWN:
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "report.pdf").unlink(missing_ok=True)


def _keep_quiet(_line: str) -> None:
    """Say nothing: only the first of several processes talks."""


def _resolved(study: Study) -> bytes:
    """Return every setting of every variant as JSON."""
    whole = {"profile": study.profile, "variants": study.variants}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2)


def _prepare(
    study: Study, data: Path | None, folder: Path, order: Order, say: Callable[[str], None]
) -> Prepared:
    recipe = study.first
    if recipe.phantom:
        return prepare_phantom(recipe, recipe.phantom)
    assert data is not None
    samples = read_samples(recipe, data)
    if is_first():
        write_audit(audit_rows(read_rows(data, recipe.layout), data, recipe.layout), folder)
    if order.quick and len(samples) > QUICK_ENOUGH:
        samples = _thin(samples, recipe)
    return prepare_samples(recipe, samples, folder / "cache", order.allow_leak, say)


def _thin(samples: list[Sample], recipe: Recipe) -> list[Sample]:
    """Return about 200 samples, evenly from the list."""
    chosen = np.linspace(0, len(samples) - 1, QUICK_ENOUGH).round().astype(int)
    return [samples[place] for place in sorted(set(chosen.tolist()))]


def _run(
    study: Study, prepared: Prepared, order: Order, checkpoints: Path, say: Callable[[str], None]
) -> Outcome:
    if study.cascade:
        return run_cascade(study, prepared, order.weights, checkpoints, say)
    if study.first.split.kind == "folds":
        return run_folds(study.first, prepared, order.weights, checkpoints, say)
    return run_parts(study, prepared, order.weights, checkpoints, say)
