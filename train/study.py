"""Reads a recipe file: what is common, its variants, its profiles."""

from __future__ import annotations

import difflib
import re
import tomllib
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from stream.errors import UsageError
from train.data.layout import Layout
from train.recipe import Augment, HeadPlan, PhantomSet, Plateau, Recipe, Split, Stop
from train.rules import find_contradiction, find_study_contradiction

RECIPES = Path(__file__).parent / "recipes"
SOUND = "sound"
NESTED = {
    "augment": Augment,
    "phantom": PhantomSet,
    "head": HeadPlan,
    "split": Split,
    "stop": Stop,
    "plateau": Plateau,
    "data": Layout,
}
MAX_BYTES = 1 << 20
OWN_KEYS = ("run", "variants", "profiles")


@dataclass(frozen=True, slots=True)
class Study:
    """A recipe file under one profile.

    Parameters
    ----------
    name, profile : which one
    variants : the recipe of each network that is to be trained, in order
    """

    name: str
    profile: str
    variants: dict[str, Recipe]

    @property
    def first(self) -> Recipe:
        """The first variant; what all share can be read from it."""
        return next(iter(self.variants.values()))

    @property
    def cascade(self) -> bool:
        """Whether some networks find the region and the others look for the finding there."""
        return any(recipe.target == "region" for recipe in self.variants.values())

    def changed(self, **values: Any) -> Study:
        """Return the study with other values in every variant.

        Raises
        ------
        UsageError
            C06 for a value out of range.
        """
        changed = {
            name: decode_recipe(self.name, msgspec.to_builtins(recipe) | values)
            for name, recipe in self.variants.items()
        }
        return checked(self.name, Study(self.name, self.profile, changed))

    def quickened(self) -> Study:
        """Return a tiny version that shows the whole path runs; its figures mean nothing."""
        small = {name: recipe.quickened() for name, recipe in self.variants.items()}
        return Study(self.name, self.profile, small)


def read_study(name: str, profile: str = SOUND, only: tuple[str, ...] = ()) -> Study:
    """Read a recipe by the name of a shipped one or the path of a TOML file.

    Parameters
    ----------
    profile : name of a table under ``profiles``; the file's common part alone is ``sound``
    only : variants to run, in place of the file's own choice

    Raises
    ------
    UsageError
        C06 for a missing recipe, profile or variant, an unknown key, a value out of range, or
        settings that contradict each other; C07 for a file too large or nested too deep.
    """
    path = _find(name)
    table = _parse(path)
    profiles = _tables(path.name, table, "profiles")
    if profile not in {SOUND, *profiles}:
        known = ", ".join(sorted({SOUND, *profiles}))
        raise UsageError(path.name, f"no profile {profile!r}", f"profiles: {known}", fault="C06")
    table = merge(table, profiles.get(profile, {}))
    variants = _tables(path.name, table, "variants") or {str(table.get("name", path.stem)): {}}
    chosen = _choose(path.name, table.pop("run", None), variants, only)
    read = {
        variant: decode_recipe(
            path.name, merge(table, variants[variant]) | {"variant": variant, "profile": profile}
        )
        for variant in chosen
    }
    return checked(path.name, Study(next(iter(read.values())).name, profile, read))


def checked(name: str, study: Study) -> Study:
    """Return a study whose variants agree with themselves and each other.

    Raises
    ------
    UsageError
        C06 with the first contradiction.
    """
    said = find_study_contradiction(list(study.variants.values()))
    for variant, recipe in study.variants.items():
        found = find_contradiction(recipe)
        said = said or (found and f"{variant}: {found}")
    if said:
        raise UsageError(name, said, "see docs/training.md", fault="C06")
    return study


def _parse(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            problem = f"{path.stat().st_size} bytes, at most {MAX_BYTES} are read"
            raise UsageError(path.name, problem, "expected a recipe", fault="C07")
        return tomllib.loads(path.read_bytes().decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(path.name, str(error), "expected TOML", fault="C06") from error
    except RecursionError as error:
        raise UsageError(path.name, "nested too deep", "expected a recipe", fault="C07") from error


def _tables(name: str, table: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """Take out what is under `key`, which has to be tables."""
    found = table.pop(key, {})
    if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
        raise UsageError(name, f"{key} = {found!r}", f"expected tables [{key}.NAME]", fault="C06")
    return found


def _choose(
    name: str, run: object, variants: dict[str, Any], only: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the variants that are to be trained: as asked, else as the file says, else all."""
    named = isinstance(run, list) and run and all(isinstance(name, str) for name in run)
    if run is not None and not named:
        raise UsageError(name, f"run = {run!r}", "expected a list of variants", fault="C06")
    chosen = only or tuple(variants if run is None else run)
    for variant in chosen:
        if variant not in variants:
            known = ", ".join(variants)
            raise UsageError(name, f"no variant {variant!r}", f"variants: {known}", fault="C06")
    return chosen


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over`; tables are merged, everything else replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _find(name: str) -> Path:
    shipped = {path.stem: path for path in sorted(RECIPES.glob("*.toml"))}
    path = shipped.get(name, Path(name))
    if not path.is_file():
        near = difflib.get_close_matches(name, shipped, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"shipped: {', '.join(shipped)}"
        raise UsageError(name, "no such recipe", hint, fault="C06")
    return path


def decode_recipe(name: str, table: dict[str, Any]) -> Recipe:
    """Return the recipe that a table says.

    Raises
    ------
    UsageError
        C06 for an unknown key or a value out of range.
    """
    try:
        return msgspec.convert(table, Recipe)
    except msgspec.ValidationError as error:
        raise UsageError(name, *_explain(str(error)), fault="C06") from error


def _explain(message: str) -> tuple[str, str]:
    """Return the problem and the nearest key, or the words that there are."""
    place = re.search(r" - at `\$\.?([^`]*)`", message)
    names = re.findall(r"[a-z_]+", place[1] if place else "")
    if unknown := re.search(r"unknown field `([^`]+)`", message):
        kind = NESTED.get(names[0], Recipe) if names else Recipe
        keys = [*kind.__struct_fields__, *(OWN_KEYS if kind is Recipe else ())]
        near = difflib.get_close_matches(unknown[1], keys, 1, cutoff=0)
        return f"unknown key {unknown[1]!r}", f"nearest key: {near[0]!r}"
    if wrong := re.search(r"Invalid enum value '([^']*)'", message):
        words = _words(names)
        near = difflib.get_close_matches(wrong[1], words, 1, cutoff=0)
        hint = f"expected one of {', '.join(words)}; nearest: {near[0]!r}"
        return f"{'.'.join(names)} = {wrong[1]!r}", hint
    return message, "see docs/training.md for keys and ranges"


def _words(names: list[str]) -> list[str]:
    """Return the words that a setting may be, by the keys that lead to it."""
    kind: type = Recipe
    for name in names[:-1]:
        kind = NESTED[name]
    hint = typing.get_type_hints(kind)[names[-1]]
    inside = [part for part in typing.get_args(hint) if typing.get_origin(part) is Literal]
    return list(typing.get_args(inside[0] if inside else hint))
