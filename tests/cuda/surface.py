"""The surface of a Python library: which names it has, and the parameters of its functions."""

from __future__ import annotations

import ast
from pathlib import Path

Parameters = tuple[tuple[str, bool], ...]
"""Name of each parameter after `self`, and whether it has a default."""
Surface = dict[str, list[Parameters]]
"""Dotted name to its overloads; none for what is not a function."""


def read_surface(*sources: Path) -> Surface:
    """Return the public names defined in source or stub files, as if they were one module."""
    surface: Surface = {}
    for source in sources:
        _add(surface, "", ast.parse(source.read_text()).body)
    return surface


def fits(called: Parameters, real: Parameters) -> bool:
    """Return whether every call that `called` allows means the same to `real`."""
    names, real_names = [name for name, _ in called], [name for name, _ in real]
    same = names == real_names[: len(names)]
    defaults = all(real_default for (_, default), (_, real_default) in zip(called, real) if default)  # noqa: B905
    return same and defaults and all(default for _, default in real[len(names) :])


def dotted_names(source: Path, module: str) -> set[str]:
    """Return what a file takes from a module: "BuilderFlag.TF32" for `trt.BuilderFlag.TF32`."""
    tree = ast.parse(source.read_text())
    aliases = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == module
    }
    chains = (ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return {
        rest for first, _, rest in (chain.partition(".") for chain in chains) if first in aliases
    }


def attributes(source: Path) -> list[ast.Attribute]:
    """Return every `x.name` in a file."""
    return [n for n in ast.walk(ast.parse(source.read_text())) if isinstance(n, ast.Attribute)]


def _add(surface: Surface, prefix: str, body: list[ast.stmt]) -> None:
    for node in body:
        if isinstance(node, ast.ClassDef) and _public(node.name):
            surface[prefix + node.name] = []
            _add(surface, f"{prefix}{node.name}.", node.body)
        elif isinstance(node, ast.FunctionDef) and (_public(node.name) or node.name == "__init__"):
            overloads = surface.setdefault(prefix + node.name, [])
            if "property" not in [ast.unparse(d) for d in node.decorator_list]:
                overloads.append(_parameters(node.args, skip=1 if prefix else 0))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            surface[prefix + node.target.id] = []
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            surface[prefix + node.targets[0].id] = []


def _parameters(arguments: ast.arguments, skip: int) -> Parameters:
    given = [*arguments.posonlyargs, *arguments.args]
    required = len(given) - len(arguments.defaults)
    return tuple((argument.arg, place >= required) for place, argument in enumerate(given))[skip:]


def _public(name: str) -> bool:
    return not name.startswith("_")
