"""The builder: a plan is a JSON header, a line break and the ONNX file."""

import json

import onnx
import tensorrt as trt
from tensorrt import _driver
from tensorrt._names import HardwareCompatibilityLevel, ILogger, ProfilingVerbosity, require_created

MAGIC = b"stand-in plan "
CACHE_MAGIC = b"stand-in timing cache "
PHASES = (("Building Engine", None, 3), ("Tactic Selection", "Building Engine", 8))
WORKSPACE = 1 << 20


class IHostMemory(bytes):
    @property
    def nbytes(self):
        return len(self)


class ParserError:
    def __init__(self, node, text):
        self._node, self._text = node, text

    def desc(self):
        return self._text

    def node_name(self):
        return self._node.name

    def node_operator(self):
        return self._node.op_type


class INetworkDefinition:
    def __init__(self, flags):
        self.strongly_typed = bool(
            flags & (1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        )
        self.model = b""


class OnnxParser:
    def __init__(self, network, logger):
        require_created(logger)
        self._network = network
        self._errors = []

    @property
    def num_errors(self):
        return len(self._errors)

    def parse(self, model, path=None):
        graph = onnx.load_from_string(bytes(model)).graph
        self._errors = [
            ParserError(node, "UINT8 is taken by Cast only")
            for node in graph.node
            if "frames" in node.input and node.op_type != "Cast"
        ]
        self._network.model = bytes(model)
        return not self._errors

    def get_error(self, index):
        return self._errors[index]


class IOptimizationProfile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, input, min, opt, max):  # noqa: A002
        if not all(a <= b <= c for a, b, c in zip(min, opt, max, strict=True)):
            raise ValueError("Shape provided for min, opt and max is not monotonic")
        self.shapes[input] = [list(min), list(opt), list(max)]


class ITimingCache:
    def __init__(self, entries):
        self.entries = entries

    def combine(self, input_cache, ignore_mismatch):
        self.entries |= input_cache.entries
        return True

    def serialize(self):
        return IHostMemory(CACHE_MAGIC + json.dumps(sorted(self.entries)).encode())


class IBuilderConfig:
    def __init__(self, logger):
        self._logger = logger
        self._profiles = []
        self._cache = None
        self.flags = {trt.BuilderFlag.TF32}
        self.pools = {}
        self.hardware_compatibility_level = HardwareCompatibilityLevel.NONE
        self.profiling_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
        self.progress_monitor = None

    def set_flag(self, flag):
        self.flags.add(flag)

    def clear_flag(self, flag):
        self.flags.discard(flag)

    def set_memory_pool_limit(self, pool, pool_size):
        self.pools[pool] = pool_size

    def add_optimization_profile(self, profile):
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache):
        data = bytes(serialized_timing_cache)
        if not data:
            return ITimingCache(set())
        if not data.startswith(CACHE_MAGIC):
            self._logger.log(ILogger.Severity.ERROR, "Timing cache: magic tag does not match")
            return None
        return ITimingCache(set(json.loads(data.removeprefix(CACHE_MAGIC))))

    def set_timing_cache(self, cache, ignore_mismatch):
        self._cache = cache
        return True


class Builder:
    def __init__(self, logger):
        require_created(logger)
        self._logger = logger
        try:
            _driver.start()
        except _driver.CudaError as error:
            logger.log(ILogger.Severity.ERROR, str(error))
            raise TypeError("pybind11::init(): factory function returned nullptr") from None

    def create_network(self, flags=0):
        return INetworkDefinition(flags)

    def create_builder_config(self):
        return IBuilderConfig(self._logger)

    def create_optimization_profile(self):
        return IOptimizationProfile()

    def build_serialized_network(self, network, config):
        shapes = config._profiles[0].shapes
        if not network.strongly_typed:
            self._logger.log(ILogger.Severity.ERROR, "the network is not strongly typed")
            return None
        try:
            _driver.require_context()
            scratch = _driver.Memory(config.pools.get(trt.MemoryPoolType.WORKSPACE, WORKSPACE))
        except _driver.CudaError as error:
            self._logger.log(ILogger.Severity.ERROR, str(error))
            return None
        if config.progress_monitor is not None and not _report(config.progress_monitor):
            return None
        del scratch
        if config._cache is not None:
            config._cache.entries |= {f"{kind} kernel" for kind in _operators(network.model)}
        header = {
            "version": trt.__version__,
            "profile": shapes["frames"],
            "verbosity": config.profiling_verbosity.name,
            "flags": sorted(flag.name for flag in config.flags),
            "hardware": config.hardware_compatibility_level.name,
        }
        return IHostMemory(MAGIC + json.dumps(header).encode() + b"\n" + network.model)


def _report(monitor):
    """Tell a monitor of nested phases; return whether it lets the build go on."""
    require_created(monitor)
    goes_on = True
    for name, parent, steps in PHASES:
        monitor.phase_start(name, parent, steps)
    for name, _, steps in reversed(PHASES):
        for step in range(steps):
            goes_on = goes_on and monitor.step_complete(name, step)
        monitor.phase_finish(name)
    return goes_on


def _operators(data):
    return {node.op_type for node in onnx.load_from_string(data).graph.node}
