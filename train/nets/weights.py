"""Reads files of weights, which may come from anywhere, without running what is in them."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from stream.errors import UsageError

_BROKEN = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    SafetensorError,
)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file or of a state dictionary that torch saved.

    Raises
    ------
    UsageError
        If the file is torn, holds anything but tensors under names (code in it is not run), or
        values that are not finite.
    """
    try:
        if path.suffix == ".safetensors":
            found = safetensors.torch.load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of pickle protocols; what is refused is refused
                found = torch.load(path, map_location="cpu", weights_only=True)
    except _BROKEN as error:
        problem = f"not a file of weights alone ({type(error).__name__}); nothing in it was run"
        remedy = "give a .safetensors file, or a state dictionary that torch saved"
        raise UsageError(path.name, problem, remedy) from error
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        problem = "holds something else than tensors under names"
        raise UsageError(path.name, problem, "save the state dictionary of the network alone")
    for name, tensor in found.items():
        if not torch.isfinite(tensor).all():
            raise UsageError(path.name, f"{name} is not finite", "give whole weights", fault="M03")
    return found
