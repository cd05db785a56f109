/* What the fake driver (fake_libcuda.c) is made of: memory blocks, streams, capture, ordered faults.

   Streams are queues whose work runs only when somebody waits for it, so a missing wait shows as
   stale memory. Each thread has its own stack of contexts, as on a card. Whatever cannot be right
   (a freed buffer under a pending copy, an allocation while capturing, a CUDA call inside a host
   callback) gives the error that CUDA documents for it. One mutex guards everything; it is let go
   while a host callback runs. */

#define _GNU_SOURCE
#include <cuda.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef enum { COPY, FILL, HOST, RECORD, WAIT } OpKind;
typedef enum { DEVICE, PINNED, REGISTERED } BlockKind;

typedef struct Op {
  struct Op *next;
  OpKind kind;
  char *dst;
  const char *src;
  size_t bytes;
  uint32_t pattern, width; /* FILL: value and its size in bytes */
  int pageable;            /* COPY: the host side is ordinary memory and cannot be checked */
  CUhostFn function;
  void *argument;
  CUevent event;
  CUstream other; /* WAIT: until this stream has done `place` operations */
  uint64_t place;
  CUresult poison; /* the error that this operation brings upon the context */
} Op;

typedef struct { Op *first, **last; } Queue;
typedef struct Block { struct Block *next; char *base; size_t bytes; BlockKind kind; } Block;

struct CUctx_st { int unused; };
struct CUevent_st { CUstream stream; uint64_t place; double ms; int live, timed; };
struct CUgraph_st { Queue work; int live; };
struct CUgraphExec_st { Queue work; int live; };
struct CUstream_st {
  CUstream next;
  Queue work;
  uint64_t queued, done;
  int busy, blocking, live;
  CUgraph capture;
  CUstreamCaptureMode mode;
  pthread_t capturer;
  int capture_broken;
};

/* Same order as `Stats` in kit.py. */
static struct {
  int64_t device_allocations, device_bytes, pinned_allocations, contexts_retained, streams, events,
      graphs, synchronises, copies, pageable_copies, launches, graph_launches, pending;
} stats;

/* Same order as KINDS in kit.py. */
typedef enum { AT_INIT, AT_ALLOC, AT_PINNED, AT_COPY, AT_LAUNCH, AT_SYNC, FAULT_KINDS } FaultKind;
typedef enum { ONCE, ALWAYS, STICKY } FaultMode;
static struct { int64_t calls_left; CUresult error; FaultMode mode; } faults[FAULT_KINDS];

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t progress = PTHREAD_COND_INITIALIZER;
static struct CUctx_st primary;
static struct CUstream_st legacy = {.live = 1}; /* stream 0 */
static CUstream streams = NULL;
static Block *blocks = NULL;
static CUresult sticky = CUDA_SUCCESS;
static size_t memory = (size_t)8 << 30;
static int initialised;
static __thread CUcontext stack[32];
static __thread int depth, in_callback;

static void unlock(pthread_mutex_t **held) { pthread_mutex_unlock(*held); }
#define LOCKED                                                                          \
  pthread_mutex_t *held __attribute__((cleanup(unlock), unused)) = &mutex;              \
  pthread_mutex_lock(held)
#define TRY(call)                       \
  do {                                  \
    CUresult tried = (call);            \
    if (tried) return tried;            \
  } while (0)
#define IN_CONTEXT \
  LOCKED;          \
  TRY(context_state())

static CUresult context_state(void) {
  if (in_callback) return CUDA_ERROR_NOT_PERMITTED;
  if (sticky) return sticky;
  if (!depth) return CUDA_ERROR_INVALID_CONTEXT;
  return stats.contexts_retained ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

/* The error ordered by fake_fail for this call, if its turn has come. */
static CUresult fault(FaultKind kind) {
  if (!faults[kind].error || --faults[kind].calls_left > 0) return CUDA_SUCCESS;
  CUresult error = faults[kind].error;
  if (faults[kind].mode != ALWAYS) faults[kind].error = CUDA_SUCCESS;
  if (faults[kind].mode == STICKY) sticky = error;
  return error;
}

static void append(Queue *queue, Op op) {
  Op *copy = malloc(sizeof op);
  *copy = op;
  copy->next = NULL;
  if (!queue->first) queue->last = &queue->first;
  *queue->last = copy;
  queue->last = &copy->next;
}

static void clear(Queue *queue) {
  for (Op *op = queue->first, *next; op; op = next) next = op->next, free(op);
  queue->first = NULL;
}

static Block *block_of(const void *address, size_t bytes) {
  for (Block *b = blocks; b; b = b->next)
    if ((char *)address >= b->base && (char *)address + bytes <= b->base + b->bytes) return b;
  return NULL;
}

static int is_device(const void *address, size_t bytes) {
  Block *block = block_of(address, bytes);
  return block && block->kind == DEVICE;
}

/* ---- running queued work -------------------------------------------------------------------- */

static void run_until(CUstream stream, uint64_t place);

static void perform(Op *op) {
  if (op->poison && !sticky) sticky = op->poison;
  if (sticky) return;
  if (op->kind == COPY || op->kind == FILL) {
    int host_gone = op->kind == COPY && !op->pageable &&
                    (!block_of(op->src, op->bytes) || !block_of(op->dst, op->bytes));
    int device_gone = !is_device(op->dst, op->bytes) &&
                      (op->kind == FILL || !is_device(op->src, op->bytes));
    if (host_gone || device_gone) {
      sticky = CUDA_ERROR_ILLEGAL_ADDRESS;
    } else if (op->kind == COPY) {
      memmove(op->dst, op->src, op->bytes);
    } else {
      for (size_t i = 0; i < op->bytes; i += op->width) memcpy(op->dst + i, &op->pattern, op->width);
    }
  } else if (op->kind == HOST) {
    pthread_mutex_unlock(&mutex);
    in_callback = 1;
    op->function(op->argument);
    in_callback = 0;
    pthread_mutex_lock(&mutex);
  } else if (op->kind == RECORD) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    op->event->ms = now.tv_sec * 1e3 + now.tv_nsec * 1e-6;
  } else {
    run_until(op->other, op->place);
  }
}

static void run_one(CUstream stream) {
  Op *op = stream->work.first;
  stream->busy = 1;
  perform(op);
  stream->work.first = op->next;
  free(op);
  stream->busy = 0;
  stream->done++;
  stats.pending--;
  pthread_cond_broadcast(&progress);
}

static void run_until(CUstream stream, uint64_t place) {
  while (stream->done < place) {
    if (stream->busy) pthread_cond_wait(&progress, &mutex);
    else run_one(stream);
  }
}

/* ---- capture and enqueueing ----------------------------------------------------------------- */

/* Calls that may not happen while a stream is captured, in this thread or (global mode) in any. */
static CUresult refuse_in_capture(void) {
  CUresult result = CUDA_SUCCESS;
  for (CUstream s = streams; s; s = s->next) {
    int applies = s->mode == CU_STREAM_CAPTURE_MODE_GLOBAL ||
                  (s->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL &&
                   pthread_equal(s->capturer, pthread_self()));
    if (s->capture && applies) s->capture_broken = 1, result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return result;
}

static CUresult find(CUstream *stream) {
  if (!*stream || *stream == CU_STREAM_LEGACY || *stream == CU_STREAM_PER_THREAD) *stream = &legacy;
  return (*stream)->live ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static void queue_up(CUstream stream, Op op) {
  append(&stream->work, op);
  stream->queued++;
  stats.pending++;
}

/* Stream 0 and the streams that are not "non-blocking" wait for each other. */
static CUresult enqueue(CUstream stream, Op op) {
  if (stream->capture) {
    append(&stream->capture->work, op);
    return CUDA_SUCCESS;
  }
  if (stream == &legacy) {
    for (CUstream s = streams; s; s = s->next) {
      if (s->capture && s->blocking) return s->capture_broken = 1, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
      if (s->blocking && s->done < s->queued)
        queue_up(&legacy, (Op){.kind = WAIT, .other = s, .place = s->queued});
    }
  } else if (stream->blocking && legacy.done < legacy.queued) {
    queue_up(stream, (Op){.kind = WAIT, .other = &legacy, .place = legacy.queued});
  }
  queue_up(stream, op);
  return CUDA_SUCCESS;
}

/* A sticky fault comes with the operation when it runs; any other fault fails the call. */
static CUresult enqueue_or_fail(FaultKind kind, CUstream stream, Op op) {
  CUresult error = fault(kind);
  if (error && !sticky) return error;
  op.poison = sticky;
  sticky = CUDA_SUCCESS;
  return enqueue(stream, op);
}

static CUresult synchronise(CUstream stream) {
  TRY(refuse_in_capture());
  stats.synchronises++;
  TRY(fault(AT_SYNC));
  run_until(stream, stream->queued);
  return sticky;
}

static CUresult copy(void *dst, const void *src, size_t bytes, CUstream stream) {
  TRY(find(&stream));
  Block *to = block_of(dst, bytes), *from = block_of(src, bytes);
  int pageable = !to || !from;
  stats.copies++;
  stats.pageable_copies += pageable;
  if (pageable) TRY(refuse_in_capture());
  TRY(enqueue_or_fail(AT_COPY, stream,
                      (Op){.kind = COPY, .dst = dst, .src = src, .bytes = bytes, .pageable = pageable}));
  if (pageable && !stream->capture) run_until(stream, stream->queued);
  return sticky;
}

static CUresult copy_now(void *dst, const void *src, size_t bytes) {
  TRY(refuse_in_capture());
  TRY(copy(dst, src, bytes, NULL));
  run_until(&legacy, legacy.queued);
  return sticky;
}

static CUresult fill(CUdeviceptr dst, uint32_t pattern, uint32_t width, size_t count, CUstream stream) {
  TRY(find(&stream));
  Op op = {.kind = FILL, .dst = (char *)dst, .pattern = pattern, .width = width};
  op.bytes = count * width;
  return is_device(op.dst, op.bytes) ? enqueue_or_fail(AT_COPY, stream, op) : CUDA_ERROR_INVALID_VALUE;
}
