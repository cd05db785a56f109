"""Checkpoints without pickle: one safetensors file whose metadata is the rest as JSON.

Whatever is not a tensor, number, string, list, tuple or dictionary is refused when saving, so a
file that can be written can be read, and reading runs no code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stream.errors import StorageError

KEY = "sonostream"
TENSOR, TUPLE, ITEMS = "$tensor", "$tuple", "$items"
MARKS = (TENSOR, TUPLE, ITEMS)


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested state to `path`; the file appears whole or not at all, even after a power cut.

    Memory formats are kept, because sums over another layout round differently.

    Raises
    ------
    TypeError
        If something in it is neither a tensor nor plain data, with its place.
    """
    tensors: dict[str, Tensor] = {}
    plain = json.dumps(_flatten(state, "", tensors))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, {KEY: plain})
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def read_plain(path: Path) -> dict[str, Any]:
    """Return the state of `write_state` with None in place of tensors; reads the header only.

    Raises
    ------
    StorageError
        If the file is torn or another program wrote it.
    """
    return _restore(_header(path), None)


def read_state(path: Path) -> dict[str, Any]:
    """Return what `write_state` wrote, tensors on the CPU.

    Raises
    ------
    StorageError
        If the file is torn or another program wrote it.
    """
    plain = _header(path)
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return _restore(plain, tensors)


class Checkpoints(CheckpointIO):
    """Lets Lightning save and load its checkpoints as `write_state` does."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint."""
        write_state(Path(path), checkpoint)

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; Lightning brings its tensors to their device."""
        return read_state(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def _header(path: Path) -> Any:
    try:
        with safe_open(path, "pt") as file:
            return json.loads((file.metadata() or {})[KEY])
    except (SafetensorError, KeyError, OSError, json.JSONDecodeError) as error:
        raise StorageError(
            path.name,
            f"not a whole checkpoint of this program ({type(error).__name__})",
            "delete it to train from the start",
        ) from error


def _flatten(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return _set_aside(value, place, tensors)
    if isinstance(value, dict):
        pairs = [(key, _flatten(v, f"{place}/{key}", tensors)) for key, v in value.items()]
        if all(isinstance(key, str) and key not in MARKS for key in value):
            return dict(pairs)
        return {ITEMS: [[_flatten(key, place, tensors), v] for key, v in pairs]}
    if isinstance(value, (list, tuple)):
        found = [_flatten(v, f"{place}/{i}", tensors) for i, v in enumerate(value)]
        return {TUPLE: found} if isinstance(value, tuple) else found
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"checkpoint{place} is a {type(value).__name__}; expected plain data")


def _set_aside(tensor: Tensor, place: str, tensors: dict[str, Tensor]) -> Any:
    """Move a tensor to `tensors` and return what stands for it."""
    name = str(len(tensors))
    last = tensor.dim() == 4 and not tensor.is_contiguous()
    stored = tensor.detach().cpu()
    tensors[name] = (stored.permute(0, 2, 3, 1) if last else stored).contiguous().clone()
    return {TENSOR: name, "channels_last": last}


def _restore(value: Any, tensors: Mapping[str, Tensor] | None) -> Any:
    if isinstance(value, list):
        return [_restore(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    if TENSOR in value:
        if tensors is None:
            return None
        found = tensors[value[TENSOR]]
        return found.permute(0, 3, 1, 2) if value["channels_last"] else found
    if TUPLE in value:
        return tuple(_restore(value[TUPLE], tensors))
    return dict(_pairs(value, tensors))


def _pairs(
    value: dict[str, Any], tensors: Mapping[str, Tensor] | None
) -> Iterator[tuple[Any, Any]]:
    if ITEMS not in value:
        return ((key, _restore(v, tensors)) for key, v in value.items())
    return ((_restore(key, tensors), _restore(v, tensors)) for key, v in value[ITEMS])
