"""Writes a trained network as one self-describing ONNX file with its class maps in the graph."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from engines.errors import EngineError
from engines.spec import METADATA_KEY, ModelSpec, encode_spec
from train.models import Classifier, measure_texture

OPSET = 20
OUTPUT_NAMES = ("logits", "probs", "cam", "features")


class Deployed(nn.Module):
    """A classifier behind the model contract.

    The map of class c is ``(1 / (h w)) * sum_k W[c, k] A[k]``: its sum over the map plus the bias
    is the logit, and it equals Grad-CAM without its relu.

    Parameters
    ----------
    model : trained network
    temperature : divisor of the logits before the softmax

    References
    ----------
    Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, section 2.
    """

    def __init__(self, model: Classifier, temperature: float) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.register_buffer("map_weight", model.head.weight.detach().clone()[:, :, None, None])

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return logits (N, C), probs (N, C), cam (N, C, h, w), features (N, K + c).

        The features are the pooled map, then the texture of the frozen stages.

        Parameters
        ----------
        frames : shape (N, H, W, 3), uint8 RGB
        """
        fine = self.model.stem(frames.permute(0, 3, 1, 2).float())
        maps = self.model.tail(fine)
        pooled = maps.mean((2, 3))
        features = torch.cat([pooled, measure_texture(fine)], 1)
        logits = self.model.head(pooled)
        cam = nn.functional.conv2d(maps, self.map_weight / (maps.shape[2] * maps.shape[3]))
        return logits, torch.softmax(logits / self.temperature, 1), cam, features


def export_model(model: Classifier, spec: ModelSpec, path: Path) -> None:
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
    proto.metadata_props.add(key=METADATA_KEY, value=encode_spec(spec))
    onnx.checker.check_model(proto)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(proto.SerializeToString(deterministic=True))
    partial.replace(path)


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
