"""The runtime: ONNX Runtime, called by the CUDA driver when the stream comes to it."""

import ctypes
import json

import numpy as np
import onnx
import onnxruntime as ort
import tensorrt as trt
from tensorrt import _driver
from tensorrt._build import MAGIC
from tensorrt._names import DataType, ExecutionContextAllocationStrategy, ILogger, require_created

ACTIVATIONS = 1 << 20
SETUP = 256
TYPES = {1: DataType.FLOAT, 2: DataType.UINT8, 10: DataType.HALF}


class Runtime:
    def __init__(self, logger):
        require_created(logger)
        self.logger = logger
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine):
        data = bytes(serialized_engine)
        header, _, model = data.removeprefix(MAGIC).partition(b"\n")
        try:
            if not data.startswith(MAGIC):
                raise _driver.CudaError("Serialization assertion magic failed")
            facts = json.loads(header)
            portable = "VERSION_COMPATIBLE" in facts["flags"]
            if portable and not self.engine_host_code_allowed:
                raise _driver.CudaError("engine host code is not allowed")
            if not portable and facts["version"] != trt.__version__:
                raise _driver.CudaError("the plan was built by another version")
            _driver.require_context()
            return ICudaEngine(self.logger, facts, model)
        except _driver.CudaError as error:
            self.logger.log(ILogger.Severity.ERROR, str(error))
            return None


class ICudaEngine:
    def __init__(self, logger, facts, model):
        self._logger, self._facts = logger, facts
        self._weights = _driver.Memory(len(model))
        self._graph = onnx.load_from_string(model).graph
        self._tensors = {v.name: v for v in (*self._graph.input, *self._graph.output)}
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        # ONNX Runtime 1.31 fuses Q/DQ pairs with float16 scales wrongly (logits off by 3 of 2).
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    @property
    def num_io_tensors(self):
        return len(self._tensors)

    def get_tensor_name(self, index):
        return list(self._tensors)[index]

    def get_tensor_dtype(self, name):
        return TYPES[self._tensors[name].type.tensor_type.elem_type]

    def get_tensor_profile_shape(self, name, profile_index):
        return self._facts["profile"]

    def create_execution_context(self, strategy=ExecutionContextAllocationStrategy.STATIC):
        try:
            return IExecutionContext(self)
        except _driver.CudaError as error:
            self._logger.log(ILogger.Severity.ERROR, str(error))
            return None

    def create_engine_inspector(self):
        return EngineInspector(self._facts, self._graph)


class IExecutionContext:
    def __init__(self, engine):
        self._engine = engine
        self._scratch = _driver.Memory(ACTIVATIONS)
        self._addresses = {}
        self._shape = None
        self._is_set_up = False

    def set_input_shape(self, name, shape):
        least, _, most = self._engine._facts["profile"]
        if not all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True)):
            self._engine._logger.log(ILogger.Severity.ERROR, f"{name} {shape}: outside the profile")
            return False
        self._shape = tuple(shape)
        self._is_set_up = False
        return True

    def get_tensor_shape(self, name):
        dims = self._engine._tensors[name].type.tensor_type.shape.dim
        return [self._shape[0], *(dim.dim_value for dim in dims[1:])]

    def set_tensor_address(self, name, memory):
        self._addresses[name] = int(memory)
        return True

    def execute_async_v3(self, stream_handle):
        addresses, shape, session = dict(self._addresses), self._shape, self._engine._session

        def run():
            frames = _view(addresses["frames"], shape, np.uint8)
            names = [value.name for value in session.get_outputs()]
            for name, answer in zip(names, session.run(names, {"frames": frames}), strict=True):
                np.copyto(_view(addresses[name], answer.shape, answer.dtype), answer)

        try:
            if addresses.keys() != self._engine._tensors.keys() or shape is None:
                raise _driver.CudaError("an address or the input shape is not set")
            _driver.require_context()
            if not self._is_set_up:
                _driver.Memory(SETUP)  # so the first run of a shape cannot be recorded
                self._is_set_up = True
            _driver.queue(stream_handle, run)
        except _driver.CudaError as error:
            self._engine._logger.log(ILogger.Severity.ERROR, str(error))
            return False
        return True


class EngineInspector:
    def __init__(self, facts, graph):
        self._facts, self._graph = facts, graph

    def get_engine_information(self, format):  # noqa: A002
        nodes = self._graph.node
        if self._facts["verbosity"] != "DETAILED":
            return json.dumps({"Layers": [node.output[0] for node in nodes], "Bindings": []})
        kind = {"Format/Datatype": "Row major linear FP32"}
        if int(trt.__version__.split(".")[0]) >= 11:
            kind = {"Format": "Row major linear", "DataType": "Float"}
        layers = [
            {
                "Name": node.output[0],
                "LayerType": node.op_type,
                "TacticName": f"stand_in_{node.op_type.lower()}",
                "Inputs": [{"Name": node.input[0], "Dimensions": [1], **kind}],
                "Outputs": [{"Name": node.output[0], "Dimensions": [1], **kind}],
            }
            for node in nodes
        ]
        return json.dumps({"Layers": layers})


def _view(address, shape, dtype):
    """Return device memory as an array; the fake driver keeps it in host memory."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype).reshape(shape)
