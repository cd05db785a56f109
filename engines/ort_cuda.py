"""ONNX Runtime on an NVIDIA card: bound buffers and, for one batch size, a CUDA graph.

References
----------
ONNX Runtime documentation, "CUDA Execution Provider" (options of the provider, CUDA graphs) and
"I/O Binding". A graph is captured per thread and per shape, and replays on the same addresses.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.base import (
    OUTPUTS,
    EngineInfo,
    EngineOutput,
    Identity,
    check_input,
    check_precision,
    pad_frames,
)
from engines.errors import EngineError
from engines.load import Model
from engines.options import EngineOptions
from engines.ort import (
    FuturePending,
    device_array,
    open_session,
    preload_cuda,
    runtime_version,
    session_options,
)
from engines.typed import typed_graph

NAME = "onnxruntime-cuda"
CUDA = "CUDAExecutionProvider"
DRIVER_VERSION = Path("/sys/module/nvidia/version")
_NAME_BYTES = 256


def identify(options: EngineOptions) -> Identity:
    """Return what a compiled engine depends on: the version, the first card and its driver.

    Raises
    ------
    EngineError
        With fault F40 if there is no usable card.
    """
    name, version = ctypes.create_string_buffer(_NAME_BYTES), ctypes.c_int()
    device = ctypes.c_int()
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
        status = (
            cuda.cuInit(0)
            or cuda.cuDeviceGet(ctypes.byref(device), 0)
            or cuda.cuDeviceGetName(name, _NAME_BYTES, device)
            or cuda.cuDriverGetVersion(ctypes.byref(version))
        )
    except OSError as error:
        problem = f"no NVIDIA driver: {error}"
        raise EngineError(f"engine {NAME}", problem, "use a CPU engine", fault="F40") from error
    if status:
        problem = f"no usable NVIDIA card: CUDA error {status}"
        raise EngineError(f"engine {NAME}", problem, "use a CPU engine", fault="F40")
    driver = DRIVER_VERSION.read_text().strip() if DRIVER_VERSION.exists() else "unknown"
    cuda_version = f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    return Identity(runtime_version(), name.value.decode(), f"{driver}, {cuda_version}")


def compile_engine(model: Model, options: EngineOptions, say: Callable[[str], None]) -> bytes:
    """Return the graph in the types of the precision; ONNX Runtime compiles when it loads.

    Raises
    ------
    EngineError
        If the precision is not offered or does not fit the model.
    """
    check_precision(model, options, NAME, ("fp32", "fp16"))
    return typed_graph(model.data, options.precision)


def load_engine(model: Model, options: EngineOptions, blob: bytes | None) -> BoundEngine:
    """Open an engine on the first card, its graph made here and now when `blob` is None.

    Raises
    ------
    EngineError
        F40 if ONNX Runtime cannot use the card; M05 if it cannot run the whole graph there.
    """
    identity = identify(options)
    graph = compile_engine(model, options, lambda line: None) if blob is None else blob
    preload_cuda()
    settings = session_options()
    # Nothing falls back to the CPU unseen, and a CUDA graph could not hold such a node.
    settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if options.batch.least == options.batch.most:
        settings.add_free_dimension_override_by_name("N", options.batch.most)
    session = open_session(model, graph, settings, [(CUDA, provider_options(options))])
    if CUDA not in session.get_providers():
        problem = "ONNX Runtime cannot use the card"
        raise EngineError(f"engine {NAME}", problem, "check CUDA and cuDNN", fault="F40")
    info = EngineInfo(NAME, identity.version, identity.device, options.precision)
    return BoundEngine(model, options, session, info, "cuda")


def provider_options(options: EngineOptions) -> dict[str, str]:
    """Return the settings of the CUDA provider; float32 is computed in float32, not in TF32."""
    fixed = options.batch.least == options.batch.most
    return {"device_id": "0", "use_tf32": "0", "enable_cuda_graph": "1" if fixed else "0"}


@dataclass(frozen=True, slots=True, eq=False)
class _Buffers:
    """Input and outputs for one batch size, at addresses that never change."""

    frames: Any
    outputs: tuple[Any, ...]
    binding: Any


class BoundEngine:
    """A session that reads and writes buffers of its own on the device.

    One thread of the engine makes all runs, as a CUDA graph belongs to the thread that captured
    it; a second run waits meanwhile, so that the device is not idle between two.

    Parameters
    ----------
    model : verified model
    options : what it was compiled with
    session : of ONNX Runtime
    info : of the engine
    device : ``cuda``, or ``cpu`` to try the same path without a card
    """

    def __init__(
        self, model: Model, options: EngineOptions, session: Any, info: EngineInfo, device: str
    ) -> None:
        self._model, self._options, self._session = model, options, session
        self._info, self._device = info, device
        self._tails = [tuple(output.shape[1:]) for output in session.get_outputs()]
        self._names = [output.name for output in session.get_outputs()]
        if not all(isinstance(dim, int) for tail in self._tails for dim in tail):
            problem = f"outputs of unknown size {dict(zip(self._names, self._tails, strict=True))}"
            raise EngineError(model.name, problem, "export it with fixed sizes", fault="M05")
        self._buffers: dict[int, _Buffers] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=NAME)

    @property
    def model(self) -> Model:
        """The verified model file that the engine was made from."""
        return self._model

    @property
    def info(self) -> EngineInfo:
        """Runtime, version, device and precision."""
        return self._info

    @property
    def depth(self) -> int:
        """Two: one running, one ready to start; for latency one."""
        return 2 if self._options.mode == "throughput" else 1

    @property
    def max_batch(self) -> int:
        """How many frames one run may take."""
        return self._options.batch.most

    def submit(self, frames: NDArray[np.uint8]) -> FuturePending:
        """Start a run over (N, h, w, 3)."""
        check_input(frames, self._model.spec, self.max_batch)
        return FuturePending(self._model, self._pool.submit(self._run, frames))

    def close(self) -> None:
        """Wait for runs under way and stop the thread."""
        self._pool.shutdown()
        self._buffers.clear()

    def _run(self, frames: NDArray[np.uint8]) -> EngineOutput:
        padded = pad_frames(frames, self._options.batch.least)
        buffers = self._buffers.get(len(padded)) or self._allocate(len(padded))
        buffers.frames.update_inplace(np.ascontiguousarray(padded))
        self._session.run_with_iobinding(buffers.binding)  # returns when the device is done
        arrays = (value.numpy()[: len(frames)].copy() for value in buffers.outputs)
        answer = dict(zip(self._names, arrays, strict=True))
        return EngineOutput(*(answer[name] for name in OUTPUTS))

    def _allocate(self, count: int) -> _Buffers:
        width, height = self._model.spec.input_wh
        binding = self._session.io_binding()
        frames = device_array((count, height, width, 3), np.uint8, self._device)
        binding.bind_ortvalue_input("frames", frames)
        outputs = tuple(
            device_array((count, *tail), np.float32, self._device) for tail in self._tails
        )
        for name, value in zip(self._names, outputs, strict=True):
            binding.bind_ortvalue_output(name, value)
        self._buffers[count] = _Buffers(frames, outputs, binding)
        return self._buffers[count]
