/* A CUDA driver without a card, for tests: host memory behind the driver API. fake_device.h has the
   machinery; this file is the API, and `fake_*`, the control interface that README.md describes.
   Functions that PyCUDA links to and that are not here get stubs from setup.py. */

#include "fake_device.h"

#define EXPORT __attribute__((visibility("default")))

/* ---- control interface ---------------------------------------------------------------------- */

EXPORT void fake_stats(void *copied) {
  LOCKED;
  memcpy(copied, &stats, sizeof stats);
}

EXPORT void fake_memory(size_t bytes) {
  LOCKED;
  memory = bytes;
}

/* From the `from_call`-th call of this kind on (1 is the next): fail once, always, or for good. */
EXPORT void fake_fail(int kind, int64_t from_call, int error, int mode) {
  LOCKED;
  faults[kind].calls_left = from_call;
  faults[kind].error = error;
  faults[kind].mode = mode;
}

/* Forget ordered faults and the sticky error; live objects and counts stay. */
EXPORT void fake_reset(void) {
  LOCKED;
  memset(faults, 0, sizeof faults);
  sticky = CUDA_SUCCESS;
}

/* ---- driver, device, context ---------------------------------------------------------------- */

EXPORT CUresult cuInit(unsigned flags) {
  LOCKED;
  TRY(fault(AT_INIT));
  initialised = 1;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDriverGetVersion(int *version) { return *version = CUDA_VERSION, CUDA_SUCCESS; }

EXPORT CUresult cuDeviceGetCount(int *count) {
  return initialised ? (*count = 1, CUDA_SUCCESS) : CUDA_ERROR_NOT_INITIALIZED;
}

EXPORT CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  if (!initialised) return CUDA_ERROR_NOT_INITIALIZED;
  *device = 0;
  return ordinal ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  return snprintf(name, length, "Fake CUDA device"), CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) {
  return memset(uuid, 0xFA, sizeof *uuid), CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetPCIBusId(char *id, int length, CUdevice device) {
  return snprintf(id, length, "0000:00:00.0"), CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) {
  return *bytes = memory, CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
  return *major = 8, *minor = 6, CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 8; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 6; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 4; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: *value = 1; break;
    default: *value = 0;
  }
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  LOCKED;
  if (!initialised) return CUDA_ERROR_NOT_INITIALIZED;
  if (sticky) return sticky;
  stats.contexts_retained++;
  return *context = &primary, CUDA_SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
  LOCKED;
  if (!stats.contexts_retained) return CUDA_ERROR_INVALID_CONTEXT;
  stats.contexts_retained--;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
  LOCKED;
  return *flags = 0, *active = stats.contexts_retained > 0, CUDA_SUCCESS;
}

EXPORT CUresult cuCtxPushCurrent(CUcontext context) {
  if (in_callback) return CUDA_ERROR_NOT_PERMITTED;
  if (context != &primary || depth == 32) return CUDA_ERROR_INVALID_CONTEXT;
  return stack[depth++] = context, CUDA_SUCCESS;
}

EXPORT CUresult cuCtxPopCurrent(CUcontext *context) {
  if (!depth) return CUDA_ERROR_INVALID_CONTEXT;
  CUcontext popped = stack[--depth];
  if (context) *context = popped;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxGetCurrent(CUcontext *context) {
  return *context = depth ? stack[depth - 1] : NULL, CUDA_SUCCESS;
}

EXPORT CUresult cuCtxSetCurrent(CUcontext context) {
  if (depth) depth--;
  return context ? cuCtxPushCurrent(context) : CUDA_SUCCESS;
}

EXPORT CUresult cuCtxGetDevice(CUdevice *device) {
  IN_CONTEXT;
  return *device = 0, CUDA_SUCCESS;
}

EXPORT CUresult cuCtxGetApiVersion(CUcontext context, unsigned *version) {
  return *version = CUDA_VERSION, CUDA_SUCCESS;
}

EXPORT CUresult cuCtxSynchronize(void) {
  IN_CONTEXT;
  TRY(synchronise(&legacy));
  for (CUstream s = streams; s; s = s->next) run_until(s, s->queued);
  return sticky;
}

static const struct { CUresult code; const char *name, *text; } errors[] = {
#define NAMED(code, text) {code, #code, text}
    NAMED(CUDA_SUCCESS, "no error"),
    NAMED(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
    NAMED(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
    NAMED(CUDA_ERROR_NOT_INITIALIZED, "initialization error"),
    NAMED(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected"),
    NAMED(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"),
    NAMED(CUDA_ERROR_INVALID_CONTEXT, "invalid device context"),
    NAMED(CUDA_ERROR_ECC_UNCORRECTABLE, "uncorrectable ECC error encountered"),
    NAMED(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle"),
    NAMED(CUDA_ERROR_NOT_READY, "device not ready"),
    NAMED(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered"),
    NAMED(CUDA_ERROR_CONTEXT_IS_DESTROYED, "context is destroyed"),
    NAMED(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure"),
    NAMED(CUDA_ERROR_NOT_PERMITTED, "operation not permitted"),
    NAMED(CUDA_ERROR_NOT_SUPPORTED, "operation not supported"),
    NAMED(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing"),
    NAMED(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
          "operation failed due to a previous error during capture"),
};

static CUresult look_up(CUresult error, const char **name, const char **text) {
  *name = "CUDA_ERROR_UNKNOWN", *text = "unknown error";
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (errors[i].code == error) *name = errors[i].name, *text = errors[i].text;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGetErrorName(CUresult error, const char **name) {
  const char *text;
  return look_up(error, name, &text);
}

EXPORT CUresult cuGetErrorString(CUresult error, const char **text) {
  const char *name;
  return look_up(error, &name, text);
}

/* ---- memory --------------------------------------------------------------------------------- */

static void add_block(void *base, size_t bytes, BlockKind kind) {
  Block *block = malloc(sizeof *block);
  *block = (Block){blocks, base, bytes, kind};
  blocks = block;
  if (kind == DEVICE) stats.device_allocations++, stats.device_bytes += bytes;
  else stats.pinned_allocations++;
}

static CUresult drop_block(void *base, BlockKind kind) {
  for (Block **place = &blocks; *place; place = &(*place)->next) {
    Block *block = *place;
    if (block->base != base || block->kind != kind) continue;
    *place = block->next;
    if (kind == DEVICE) stats.device_allocations--, stats.device_bytes -= block->bytes;
    else stats.pinned_allocations--;
    if (kind != REGISTERED) free(block->base);
    free(block);
    return sticky;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

/* A failed context still takes back its memory, though the call reports the failure. */
static CUresult release(void *base, BlockKind kind) {
  LOCKED;
  if (in_callback || !depth || !stats.contexts_retained) return context_state();
  TRY(refuse_in_capture());
  return drop_block(base, kind);
}

/* Fresh device memory holds 0xFF: NaN as float, 255 as uint8. Nobody may count on zeros there. */
EXPORT CUresult cuMemAlloc(CUdeviceptr *address, size_t bytes) {
  IN_CONTEXT;
  TRY(refuse_in_capture());
  TRY(fault(AT_ALLOC));
  if (!bytes) return CUDA_ERROR_INVALID_VALUE;
  if (bytes > memory - stats.device_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  void *base = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!base) return CUDA_ERROR_OUT_OF_MEMORY;
  memset(base, 0xFF, bytes);
  add_block(base, bytes, DEVICE);
  return *address = (CUdeviceptr)base, CUDA_SUCCESS;
}

EXPORT CUresult cuMemFree(CUdeviceptr address) { return release((void *)address, DEVICE); }

EXPORT CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
  IN_CONTEXT;
  TRY(refuse_in_capture());
  TRY(fault(AT_PINNED));
  *address = calloc(bytes, 1);
  if (!*address) return CUDA_ERROR_OUT_OF_MEMORY;
  add_block(*address, bytes, PINNED);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuMemFreeHost(void *address) { return release(address, PINNED); }

EXPORT CUresult cuMemHostRegister(void *address, size_t bytes, unsigned flags) {
  IN_CONTEXT;
  TRY(fault(AT_PINNED));
  add_block(address, bytes, REGISTERED);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuMemHostUnregister(void *address) { return release(address, REGISTERED); }

EXPORT CUresult cuMemHostGetDevicePointer(CUdeviceptr *device, void *host, unsigned flags) {
  IN_CONTEXT;
  return *device = (CUdeviceptr)host, block_of(host, 1) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

EXPORT CUresult cuMemGetInfo(size_t *left, size_t *total) {
  IN_CONTEXT;
  return *left = memory - stats.device_bytes, *total = memory, CUDA_SUCCESS;
}

EXPORT CUresult cuMemcpyHtoDAsync(CUdeviceptr dst, const void *src, size_t bytes, CUstream stream) {
  IN_CONTEXT;
  if (!is_device((void *)dst, bytes)) return CUDA_ERROR_INVALID_VALUE;
  return copy((void *)dst, src, bytes, stream);
}

EXPORT CUresult cuMemcpyDtoHAsync(void *dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  IN_CONTEXT;
  if (!is_device((void *)src, bytes)) return CUDA_ERROR_INVALID_VALUE;
  return copy(dst, (void *)src, bytes, stream);
}

EXPORT CUresult cuMemcpyDtoDAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  IN_CONTEXT;
  if (!is_device((void *)dst, bytes) || !is_device((void *)src, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  return copy((void *)dst, (void *)src, bytes, stream);
}

EXPORT CUresult cuMemcpyHtoD(CUdeviceptr dst, const void *src, size_t bytes) {
  IN_CONTEXT;
  return is_device((void *)dst, bytes) ? copy_now((void *)dst, src, bytes) : CUDA_ERROR_INVALID_VALUE;
}

EXPORT CUresult cuMemcpyDtoH(void *dst, CUdeviceptr src, size_t bytes) {
  IN_CONTEXT;
  return is_device((void *)src, bytes) ? copy_now(dst, (void *)src, bytes) : CUDA_ERROR_INVALID_VALUE;
}

EXPORT CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char value, size_t n, CUstream stream) {
  IN_CONTEXT;
  return fill(dst, value, 1, n, stream);
}

EXPORT CUresult cuMemsetD32Async(CUdeviceptr dst, unsigned value, size_t n, CUstream stream) {
  IN_CONTEXT;
  return fill(dst, value, 4, n, stream);
}

EXPORT CUresult cuMemsetD8(CUdeviceptr dst, unsigned char value, size_t n) {
  return cuMemsetD8Async(dst, value, n, NULL);
}

EXPORT CUresult cuMemsetD32(CUdeviceptr dst, unsigned value, size_t n) {
  return cuMemsetD32Async(dst, value, n, NULL);
}

#include "fake_streams.c"
