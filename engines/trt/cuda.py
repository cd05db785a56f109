"""The CUDA driver through PyCUDA: a device, its streams, and buffers on both sides."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pycuda.driver as cuda
from numpy.typing import NDArray

from engines.errors import EngineError

NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: never waits for the default stream, which others may use."""
OLDEST = (7, 5)
"""Turing, the oldest that TensorRT 10.12 to 11 takes (support matrix 11.4.1)."""
SMALLER = "use a smaller batch or the latency mode, or free the card"


class CudaDevice:
    """The first CUDA device with its primary context, which TensorRT uses as well.

    A context that PyCUDA makes itself would be another one, and handles do not cross.

    Raises
    ------
    EngineError
        If there is no usable device.
    """

    def __init__(self) -> None:
        device, self.name, self.driver = find_device()
        with device_faults(self.name):
            self._context = device.retain_primary_context()
        self._thread = threading.get_ident()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make the context current in this thread for a while; may be nested.

        Raises
        ------
        pycuda.driver.Error
            Instead of what TensorRT says, where the reason is that the device has failed.
        """
        self._context.push()
        try:
            yield
        except EngineError:
            cuda.Context.synchronize()  # fails, as every call does once the device has
            raise
        finally:
            cuda.Context.pop()

    def close(self) -> None:
        """Release the context; in the thread that opened it, or PyCUDA keeps it to the end."""
        self._context.detach()
        if threading.get_ident() == self._thread:
            # PyCUDA pushes the context to detach it and relies on a pop that CUDA makes for
            # contexts of one's own only (CUDA driver API, cuDevicePrimaryCtxRelease).
            ctypes.CDLL("libcuda.so.1").cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))


def find_device() -> tuple[Any, str, str]:
    """Return the first device, its name with the compute capability, and the driver.

    Raises
    ------
    EngineError
        If there is none, or TensorRT does not take it.
    """
    try:
        cuda.init()
        device = cuda.Device(0)
    except cuda.Error as error:
        raise EngineError("NVIDIA card", f"none is usable: {error}") from error
    major, minor = device.compute_capability()
    version = cuda.get_driver_version()
    name = f"{device.name()} (compute capability {major}.{minor})"
    if (major, minor) < OLDEST:
        raise EngineError(name, "too old", "TensorRT needs compute capability 7.5 or later")
    return device, name, f"CUDA {version // 1000}.{version % 1000 // 10}"


@contextmanager
def open_device() -> Iterator[CudaDevice]:
    """Open the device for a while."""
    device = CudaDevice()
    try:
        yield device
    finally:
        device.close()


@contextmanager
def device_faults(subject: str) -> Iterator[None]:
    """Turn errors of the driver into ours.

    Raises
    ------
    EngineError
        F05 if memory runs out. F06 for any other: an asynchronous error stays with the process,
        and PyCUDA does not tell which ones do, so nothing after it can be trusted.
    """
    try:
        yield
    except cuda.MemoryError as error:
        raise EngineError(
            subject, f"out of device memory: {error}", SMALLER, fault="F05"
        ) from error
    except cuda.Error as error:
        problem = f"the device failed: {error}"
        raise EngineError(subject, problem, "replace the worker", fault="F06") from error


def open_stream() -> Any:
    """Return a stream of its own; needs an active context, as all that follows."""
    return cuda.Stream(NON_BLOCKING)


class Mirror:
    """An array in pinned host memory and its copy on the device.

    Parameters
    ----------
    shape, dtype : of the array; a run uses its first rows

    Raises
    ------
    pycuda.driver.MemoryError
        If there is no room on either side.
    """

    def __init__(self, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        self.host: NDArray[Any] = cuda.pagelocked_zeros(shape, dtype)
        try:
            self._device = cuda.mem_alloc(self.host.nbytes)
        except cuda.Error:
            self._free_host()
            raise

    @property
    def address(self) -> int:
        """Where the copy on the device is."""
        return int(self._device)

    def send(self, rows: int, stream: Any) -> None:
        """Queue the copy of the first rows to the device."""
        cuda.memcpy_htod_async(self._device, self.host[:rows], stream)

    def fetch(self, rows: int, stream: Any) -> None:
        """Queue the copy of the first rows from the device."""
        cuda.memcpy_dtoh_async(self.host[:rows], self._device, stream)

    def free(self) -> None:
        """Free both sides; no copy may be under way."""
        self._device.free()
        self._free_host()

    def _free_host(self) -> None:
        self.host.base.free()  # type: ignore[union-attr]
        self.host = np.empty((0, *self.host.shape[1:]), self.host.dtype)
