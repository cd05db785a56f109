"""A stand-in for TensorRT; see ../README.md."""
# ruff: noqa: F401

from tensorrt._build import (
    Builder,
    IBuilderConfig,
    IHostMemory,
    INetworkDefinition,
    IOptimizationProfile,
    ITimingCache,
    OnnxParser,
    ParserError,
)
from tensorrt._engine import EngineInspector, ICudaEngine, IExecutionContext, Runtime
from tensorrt._names import (
    BuilderFlag,
    DataType,
    ExecutionContextAllocationStrategy,
    HardwareCompatibilityLevel,
    ILogger,
    IProgressMonitor,
    LayerInformationFormat,
    MemoryPoolType,
    NetworkDefinitionCreationFlag,
    ProfilingVerbosity,
)

__version__ = "11.4.0.106"
