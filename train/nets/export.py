"""Writes a trained network as one self-describing ONNX file with its class maps in the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.base import Engine, run_frames
from engines.errors import EngineError
from engines.spec import METADATA_KEY, ModelSpec, encode_spec
from train.nets.cascade import Cascade
from train.nets.models import Network

OPSET = 20
OUTPUT_NAMES = ("logits", "probs", "cam", "features")
TOLERANCE = 1e-3
"""Largest difference between engine and torch, relative to the largest value of the output."""

Revealing = Network | Cascade


class Deployed(nn.Module):
    """A network behind the model contract.

    Parameters
    ----------
    model : trained network
    temperature : divisor of the logits before the softmax
    """

    def __init__(self, model: Revealing, temperature: float) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return logits (N, C), probs (N, C), cam (N, C, h, w), features (N, D).

        Parameters
        ----------
        frames : shape (N, H, W, 3), uint8 RGB
        """
        # TensorRT takes uint8 only where it is cast at once, so the planes move after that.
        logits, cam, features = self.model.reveal(frames.float().permute(0, 3, 1, 2))
        return logits, torch.softmax(logits / self.temperature, 1), cam, features


def export_model(model: Revealing, spec: ModelSpec, path: Path) -> None:
    """Write `model` to `path` with `spec` in its metadata; the file appears whole or not at all.

    Raises
    ------
    EngineError
        If the exporter leaves something outside the contract.
    """
    width, height = spec.input_wh
    deployed = Deployed(model, spec.temperature).eval()
    example = torch.zeros(2, height, width, 3, dtype=torch.uint8)
    program = torch.onnx.export(
        deployed,
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=["frames"],
        output_names=list(OUTPUT_NAMES),
        dynamic_shapes=({0: torch.export.Dim("N", min=1, max=4096)},),
        verbose=False,
    )
    if program is None:
        raise EngineError(
            path.name, "the exporter returned nothing", "check the versions of torch and onnxscript"
        )
    proto = program.model_proto
    _clean(proto)
    _write(proto, spec, path)


def stamp(source: Path, spec: ModelSpec, path: Path) -> None:
    """Write an exported model to `path` with another spec."""
    proto = onnx.load(source)
    del proto.metadata_props[:]
    _write(proto, spec, path)


def _write(proto: onnx.ModelProto, spec: ModelSpec, path: Path) -> None:
    proto.metadata_props.add(key=METADATA_KEY, value=encode_spec(spec))
    onnx.checker.check_model(proto)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(proto.SerializeToString(deterministic=True))
    partial.replace(path)


@torch.no_grad()
def check_parity(
    model: Revealing, engine: Engine, frames: NDArray[np.uint8], temperature: float
) -> dict[str, float]:
    """Return how far an engine's outputs are from the network's, relative to the largest value.

    Parameters
    ----------
    frames : shape (N, h, w, 3), uint8 RGB

    Raises
    ------
    EngineError
        If an output differs by more than the tolerance.
    """
    wanted = Deployed(model, temperature).eval()(torch.from_numpy(frames))
    found = run_frames(engine, frames)
    parity = {}
    for name, reference in zip(OUTPUT_NAMES, wanted, strict=True):
        theirs = reference.numpy()
        gap = np.abs(getattr(found, name) - theirs).max()
        parity[name] = float(gap / max(np.abs(theirs).max(), 1e-6))
    if not all(value <= TOLERANCE for value in parity.values()):
        raise EngineError(
            engine.model.spec.name,
            f"engine and torch differ: {parity}",
            f"expected at most {TOLERANCE}; report this with the recipe",
        )
    return parity


def _clean(proto: onnx.ModelProto) -> None:
    """Drop the exporter's notes, which hold stack traces with local paths, and unused domains."""
    del proto.metadata_props[:]
    proto.doc_string = ""
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (
        *proto.graph.value_info,
        *proto.graph.input,
        *proto.graph.output,
        *proto.graph.initializer,
    ):
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]
    used = {node.domain for node in proto.graph.node}
    kept = [opset for opset in proto.opset_import if opset.domain in used or not opset.domain]
    del proto.opset_import[:]
    proto.opset_import.extend(kept)
