"""Reads a recipe file: what is common, its variants, its profiles."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stream.errors import UsageError
from train.data.layout import Layout
from train.recipe import Augment, HeadPlan, PhantomSet, Plateau, Recipe, Split, Stop

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
        """Return the study with other values in every variant."""
        changed = {
            name: msgspec.structs.replace(recipe, **values)
            for name, recipe in self.variants.items()
        }
        return Study(self.name, self.profile, changed)

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
        C06 for a missing recipe, profile or variant, an unknown key, or a value out of range.
    """
    path = _find(name)
    try:
        table = tomllib.loads(path.read_bytes().decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(path.name, str(error), "expected TOML", fault="C06") from error
    profiles = table.pop("profiles", {})
    if profile not in {SOUND, *profiles}:
        known = ", ".join(sorted({SOUND, *profiles}))
        raise UsageError(path.name, f"no profile {profile!r}", f"profiles: {known}", fault="C06")
    table = merge(table, profiles.get(profile, {}))
    variants = table.pop("variants", {}) or {table.get("name", path.stem): {}}
    chosen = only or tuple(table.pop("run", variants))
    table.pop("run", None)
    for variant in chosen:
        if variant not in variants:
            known = ", ".join(variants)
            raise UsageError(
                path.name, f"no variant {variant!r}", f"variants: {known}", fault="C06"
            )
    read = {
        variant: _decode(
            path.name, merge(table, variants[variant]) | {"variant": variant, "profile": profile}
        )
        for variant in chosen
    }
    return Study(next(iter(read.values())).name, profile, read)


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


def _decode(name: str, table: dict[str, Any]) -> Recipe:
    try:
        return msgspec.convert(table, Recipe)
    except msgspec.ValidationError as error:
        raise UsageError(name, *_explain(str(error)), fault="C06") from error


def _explain(message: str) -> tuple[str, str]:
    """Return the problem and, for an unknown key, the nearest key."""
    found = re.search(r"unknown field `([^`]+)`(?: - at `\$\.?([^`]*)`)?", message)
    if not found:
        return message, "see docs/training.md for keys and ranges"
    kind = NESTED.get(found[2] or "", Recipe)
    keys = [*kind.__struct_fields__, *(OWN_KEYS if kind is Recipe else ())]
    near = difflib.get_close_matches(found[1], keys, 1, cutoff=0)
    return f"unknown key {found[1]!r}", f"nearest key: {near[0]!r}"
