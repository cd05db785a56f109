"""What TensorRT made of a graph, as its inspector tells it in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a plan.

    Parameters
    ----------
    name : of TensorRT, usually made from those of the ONNX nodes it stands for
    kind : of layer
    tactic : kernel that runs it
    reads, writes : type, layout and shape of its tensors, in words
    """

    name: str
    kind: str = ""
    tactic: str = ""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def parse_layers(text: str) -> list[Layer]:
    """Read the inspector's JSON of TensorRT 10 or 11.

    References
    ----------
    TensorRT 11 migration guide, "IEngineInspector": ``Format/Datatype`` of a tensor became two
    fields. Plans built without details hold names only.
    """
    return [
        Layer(layer) if isinstance(layer, str) else _layer(layer)
        for layer in json.loads(text)["Layers"]
    ]


def _layer(layer: dict[str, Any]) -> Layer:
    return Layer(
        name=layer.get("Name", ""),
        kind=layer.get("LayerType", ""),
        tactic=layer.get("TacticName", ""),
        reads=tuple(map(_tensor, layer.get("Inputs", ()))),
        writes=tuple(map(_tensor, layer.get("Outputs", ()))),
    )


def _tensor(tensor: dict[str, Any]) -> str:
    fields = ("Format/Datatype", "DataType", "Datatype", "Format")
    words = [tensor[field] for field in fields if tensor.get(field)]
    return f"{' '.join(words)} {tensor.get('Dimensions', [])}"
