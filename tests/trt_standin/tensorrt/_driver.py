"""What TensorRT itself asks of the CUDA driver, through ctypes."""

import ctypes
from contextlib import contextmanager

CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
WORDS = {
    2: "out of memory",
    100: "no CUDA-capable device is detected",
    201: "invalid device context",
    700: "an illegal memory access was encountered",
}
_library = ctypes.CDLL("libcuda.so.1")
_queued = []  # the driver calls these later, graphs again and again


class CudaError(Exception):
    """A driver call failed; the text is what TensorRT would log."""


def call(name, *arguments):
    code = getattr(_library, name)(*arguments)
    if code:
        raise CudaError(f"Error Code 1: Cuda Runtime ({WORDS.get(code, f'error {code}')})")


def start():
    call("cuInit", 0)


def require_context():
    """Fail unless the calling thread has a context; the real one would fall back on device 0."""
    device = ctypes.c_int()
    call("cuCtxGetDevice", ctypes.byref(device))


def queue(stream, function):
    kept = CALLBACK(lambda _: function())
    _queued.append(kept)
    call("cuLaunchHostFunc", ctypes.c_void_p(stream), kept, None)


class Memory:
    """Device memory that lives as long as this object, as that of TensorRT's own objects."""

    def __init__(self, size):
        self._address = ctypes.c_uint64()
        with _primary_context():
            call("cuMemAlloc_v2", ctypes.byref(self._address), ctypes.c_size_t(size))

    def __del__(self):
        if self._address.value:
            try:
                with _primary_context():
                    call("cuMemFree_v2", self._address)
            except CudaError:
                pass  # the device has failed; TensorRT logs and goes on


@contextmanager
def _primary_context():
    """Make the primary context current, as the CUDA runtime does by itself."""
    context = ctypes.c_void_p()
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
    call("cuCtxPushCurrent_v2", context)
    try:
        yield
    finally:
        call("cuCtxPopCurrent_v2", ctypes.byref(context))
        call("cuDevicePrimaryCtxRelease_v2", 0)
