"""Builds a plan: from a verified model to what TensorRT runs."""

from __future__ import annotations

from collections.abc import Callable

import tensorrt as trt

from engines.errors import EngineError
from engines.graph_check import find_refusals
from engines.load import Model
from engines.options import EngineOptions
from engines.trt.messages import failure, shared_messages
from engines.trt.progress import Progress
from engines.trt.timing import open_timing_cache, save_timing_cache
from engines.typed import typed_graph

SHOWN = 3
MIB = 1 << 20


def build_plan(model: Model, options: EngineOptions, say: Callable[[str], None]) -> bytes:
    """Build a strongly typed plan; one builder serves one call, so threads may build side by side.

    Raises
    ------
    EngineError
        M05 if the graph is refused or the build fails, F05 if device memory runs out.
    KeyboardInterrupt
        If the person interrupts the build.
    """
    data = typed_graph(model.data, options.precision)
    _check_graph(model.name, data)
    messages = shared_messages()
    mark = messages.mark()
    try:
        builder = trt.Builder(messages)
    except TypeError as error:  # the bindings' way to say that the library made no builder
        raise failure(model.name, "TensorRT made no builder", mark, "") from error
    # The flag is needed before 11 and ignored from 11 on.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, messages)  # owns the weights until the plan is built
    _parse(parser, model.name, data)
    progress = Progress(say)
    config = _configure(builder, model, options)
    config.progress_monitor = progress
    cache = open_timing_cache(config, options.timing_cache, say)
    plan = builder.build_serialized_network(network, config)
    if progress.interrupted:
        raise KeyboardInterrupt
    if plan is None:
        raise failure(model.name, "TensorRT cannot build it", mark, "M05")
    if options.timing_cache is not None and cache is not None:
        save_timing_cache(config, cache, options.timing_cache, say)
    return bytes(plan)


def _check_graph(name: str, data: bytes) -> None:
    found = find_refusals(data)
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        problem = f"TensorRT would refuse: {'; '.join(found[:SHOWN])}{more}"
        raise EngineError(name, problem, "export it again, or use another engine", fault="M05")


def _parse(parser: trt.OnnxParser, name: str, data: bytes) -> None:
    if not parser.parse(data):
        errors: list[trt.ParserError] = [parser.get_error(n) for n in range(parser.num_errors)]
        lines = [f"{e.node_operator()} {e.node_name()!r}: {e.desc()}" for e in errors[:SHOWN]]
        problem = f"TensorRT cannot read it: {'; '.join(lines) or 'it gave no reason'}"
        raise EngineError(name, problem, "export it again, or use another engine", fault="M05")


def _configure(builder: trt.Builder, model: Model, options: EngineOptions) -> trt.IBuilderConfig:
    config = builder.create_builder_config()
    width, height = model.spec.input_wh
    batch = options.batch
    profile = builder.create_optimization_profile()
    shapes = [(count, height, width, 3) for count in (batch.least, batch.best, batch.most)]
    profile.set_shape("frames", shapes[0], shapes[1], shapes[2])
    config.add_optimization_profile(profile)
    # Layer names and types for the inspector; it costs nothing at run time.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if options.precision == "fp32":
        config.clear_flag(trt.BuilderFlag.TF32)  # it would round products to 10 bits
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib * MIB)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    return config
