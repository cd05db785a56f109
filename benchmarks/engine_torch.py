"""Torch itself on an NVIDIA card, in half precision: what an engine has to beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.gpu_card import torch_faults
from train.nets.models import build_network
from train.recipe import Recipe

Reveal = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
COMPILE_MODE = "reduce-overhead"
"""The mode of `torch.compile` that uses CUDA graphs."""
WARM_UP = 3
"""Runs before the first that counts: compilation, then recording, then the first replay."""


def open_torch(recipe: Recipe, backend: str, batch: int) -> TorchRunner:
    """Open a network on the first card.

    Raises
    ------
    EngineError
        If torch cannot compile, record or run it.
    """
    with torch_faults(recipe.name):
        return TorchRunner(recipe, backend, batch)


@dataclass(frozen=True, slots=True)
class Done:
    """An answer that is there."""

    outputs: tuple[torch.Tensor, ...]

    def result(self) -> tuple[torch.Tensor, ...]:
        """Return the outputs, on the host."""
        return self.outputs


class TorchRunner:
    """A network in eager mode, compiled, or replayed as a CUDA graph.

    Frames are copied to the card and answers back in every run, as an engine does.

    Parameters
    ----------
    recipe : of the network, whose weights are random
    backend : ``torch-eager``; ``torch-compile``, which also records its kernels as CUDA graphs; or
        ``torch-cuda-graph``, the kernels of eager mode recorded as one
    batch : frames in one run
    device : in half precision on a card, in float32 on the CPU
    """

    depth = 1

    def __init__(self, recipe: Recipe, backend: str, batch: int, device: str = "cuda") -> None:
        kind = torch.float16 if device == "cuda" else torch.float32
        network = build_network(recipe).eval().to(device, kind, memory_format=torch.channels_last)
        shape = (batch, recipe.input_px, recipe.input_px, 3)
        self._frames = torch.zeros(shape, dtype=torch.uint8, device=device)
        self._host = torch.zeros(shape, dtype=torch.uint8, pin_memory=device == "cuda")

        def reveal(frames: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(network.reveal(frames.permute(0, 3, 1, 2).to(kind)))

        self._run: Reveal = reveal
        if backend == "torch-compile":
            self._run = torch.compile(reveal, mode=COMPILE_MODE, fullgraph=True, dynamic=False)
        if backend == "torch-cuda-graph":
            self._run = self._capture()
        for _ in range(WARM_UP):
            self.submit(np.zeros(shape, np.uint8))

    def submit(self, frames: NDArray[np.uint8], /) -> Done:
        """Run over (N, h, w, 3) and return when the answer is on the host."""
        with torch.inference_mode():
            self._host.copy_(torch.from_numpy(frames))
            self._frames.copy_(self._host, non_blocking=True)
            return Done(tuple(output.float().cpu() for output in self._run(self._frames)))

    def close(self) -> None:
        """Forget what was compiled, as torch compiles a function a few times only."""
        torch.compiler.reset()

    def _capture(self) -> Reveal:
        """Record one run, after some for what cannot be recorded; return what replays it."""
        side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        side.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode():
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    self._run(self._frames)
            torch.cuda.current_stream().wait_stream(side)
            with torch.cuda.graph(graph):
                outputs = self._run(self._frames)

        def replay(_frames: torch.Tensor) -> tuple[torch.Tensor, ...]:
            graph.replay()
            return outputs

        return replay
