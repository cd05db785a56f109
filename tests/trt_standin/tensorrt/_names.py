"""Enumerations with the values of 11.4, and what the user derives from."""

from enum import Enum


class _Enum(Enum):
    def __int__(self):
        return self.value


class ILogger:
    class Severity(_Enum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    def __init__(self):
        self._created = True

    def log(self, severity, msg):
        raise NotImplementedError


class IProgressMonitor:
    def __init__(self):
        self._created = True

    def phase_start(self, phase_name, parent_phase, num_steps):
        raise NotImplementedError

    def phase_finish(self, phase_name):
        raise NotImplementedError

    def step_complete(self, phase_name, step):
        raise NotImplementedError


def require_created(user_object):
    """Refuse an object whose class did not call the base's own __init__, as pybind11 does."""
    if not getattr(user_object, "_created", False):
        raise TypeError(f"{type(user_object).__name__}.__init__() must be called when overriding")


class NetworkDefinitionCreationFlag(_Enum):
    STRONGLY_TYPED = 0


class BuilderFlag(_Enum):
    TF32 = 6
    VERSION_COMPATIBLE = 12


class MemoryPoolType(_Enum):
    WORKSPACE = 0


class HardwareCompatibilityLevel(_Enum):
    NONE = 0
    AMPERE_PLUS = 1


class ProfilingVerbosity(_Enum):
    LAYER_NAMES_ONLY = 0
    NONE = 1
    DETAILED = 2


class LayerInformationFormat(_Enum):
    ONELINE = 0
    JSON = 1


class ExecutionContextAllocationStrategy(_Enum):
    STATIC = 0


class DataType(_Enum):
    FLOAT = 0
    HALF = 1
    UINT8 = 5
