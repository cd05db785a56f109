/* ---- streams, events, host callbacks, graphs: part of fake_libcuda.c -------------------------- */

EXPORT CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority) {
  IN_CONTEXT;
  *stream = calloc(1, sizeof **stream);
  **stream = (struct CUstream_st){.next = streams, .live = 1};
  (*stream)->blocking = flags != CU_STREAM_NON_BLOCKING;
  streams = *stream;
  stats.streams++;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
  return cuStreamCreateWithPriority(stream, flags, 0);
}

/* Work still queued is not run: on a card nobody could know either whether it had run. */
EXPORT CUresult cuStreamDestroy(CUstream stream) {
  LOCKED;
  if (in_callback || !depth || !stats.contexts_retained) return context_state();
  if (stream == NULL || !stream->live) return CUDA_ERROR_INVALID_HANDLE;
  stream->live = 0;
  stats.streams--;
  return sticky;
}

EXPORT CUresult cuStreamSynchronize(CUstream stream) {
  IN_CONTEXT;
  TRY(find(&stream));
  return synchronise(stream);
}

/* Asking moves the work on by one operation, so that a loop that polls comes to an end. */
EXPORT CUresult cuStreamQuery(CUstream stream) {
  IN_CONTEXT;
  TRY(find(&stream));
  TRY(refuse_in_capture());
  if (stream->done == stream->queued) return CUDA_SUCCESS;
  if (!stream->busy) run_one(stream);
  return sticky ? sticky : CUDA_ERROR_NOT_READY;
}

EXPORT CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
  IN_CONTEXT;
  TRY(find(&stream));
  if (!event->live) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) return stream->capture_broken = 1, CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  if (!event->stream) return CUDA_SUCCESS;
  return enqueue(stream, (Op){.kind = WAIT, .other = event->stream, .place = event->place});
}

EXPORT CUresult cuEventCreate(CUevent *event, unsigned flags) {
  IN_CONTEXT;
  *event = calloc(1, sizeof **event);
  **event = (struct CUevent_st){.live = 1, .timed = !(flags & CU_EVENT_DISABLE_TIMING)};
  stats.events++;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuEventDestroy(CUevent event) {
  LOCKED;
  if (in_callback || !depth || !stats.contexts_retained) return context_state();
  if (!event->live) return CUDA_ERROR_INVALID_HANDLE;
  event->live = 0;
  stats.events--;
  return sticky;
}

EXPORT CUresult cuEventRecord(CUevent event, CUstream stream) {
  IN_CONTEXT;
  TRY(find(&stream));
  if (!event->live) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) return stream->capture_broken = 1, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  TRY(enqueue(stream, (Op){.kind = RECORD, .event = event}));
  event->stream = stream;
  event->place = stream->queued;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuEventSynchronize(CUevent event) {
  IN_CONTEXT;
  if (!event->live) return CUDA_ERROR_INVALID_HANDLE;
  TRY(refuse_in_capture());
  stats.synchronises++;
  TRY(fault(AT_SYNC));
  if (event->stream) run_until(event->stream, event->place);
  return sticky;
}

EXPORT CUresult cuEventQuery(CUevent event) {
  IN_CONTEXT;
  if (!event->live) return CUDA_ERROR_INVALID_HANDLE;
  if (!event->stream || event->stream->done >= event->place) return CUDA_SUCCESS;
  if (!event->stream->busy) run_one(event->stream);
  return sticky ? sticky : CUDA_ERROR_NOT_READY;
}

EXPORT CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end) {
  IN_CONTEXT;
  if (!start->live || !end->live || !start->timed || !end->timed || !start->stream || !end->stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (start->stream->done < start->place || end->stream->done < end->place)
    return CUDA_ERROR_NOT_READY;
  return *ms = (float)(end->ms - start->ms), CUDA_SUCCESS;
}

/* The callback runs in the thread that waits, where it may call nothing of CUDA. */
EXPORT CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void *argument) {
  IN_CONTEXT;
  TRY(find(&stream));
  stats.launches++;
  Op op = {.kind = HOST, .function = function, .argument = argument};
  return enqueue_or_fail(AT_LAUNCH, stream, op);
}

EXPORT CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
  IN_CONTEXT;
  TRY(find(&stream));
  if (stream == &legacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  stream->capture = calloc(1, sizeof *stream->capture);
  stream->capture->live = 1;
  stream->mode = mode;
  stream->capturer = pthread_self();
  stream->capture_broken = 0;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  IN_CONTEXT;
  TRY(find(&stream));
  *graph = NULL;
  if (!stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  CUgraph captured = stream->capture;
  stream->capture = NULL;
  if (stream->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
      !pthread_equal(stream->capturer, pthread_self()))
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  if (stream->capture_broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  stats.graphs++;
  return *graph = captured, CUDA_SUCCESS;
}

EXPORT CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
  IN_CONTEXT;
  TRY(find(&stream));
  *status = !stream->capture         ? CU_STREAM_CAPTURE_STATUS_NONE
            : stream->capture_broken ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                     : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
                                            unsigned long long flags) {
  IN_CONTEXT;
  if (!graph->live) return CUDA_ERROR_INVALID_HANDLE;
  TRY(fault(AT_ALLOC));
  *exec = calloc(1, sizeof **exec);
  (*exec)->live = 1;
  for (Op *op = graph->work.first; op; op = op->next) append(&(*exec)->work, *op);
  stats.graphs++;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphUpload(CUgraphExec exec, CUstream stream) {
  IN_CONTEXT;
  return exec->live ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

EXPORT CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  IN_CONTEXT;
  TRY(find(&stream));
  if (!exec->live) return CUDA_ERROR_INVALID_HANDLE;
  stats.graph_launches++;
  TRY(enqueue_or_fail(AT_LAUNCH, stream, (Op){.kind = WAIT, .other = stream})); /* waits for nothing */
  for (Op *op = exec->work.first; op; op = op->next) TRY(enqueue(stream, *op));
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphExecDestroy(CUgraphExec exec) {
  LOCKED;
  if (in_callback || !depth || !stats.contexts_retained) return context_state();
  if (!exec->live) return CUDA_ERROR_INVALID_HANDLE;
  exec->live = 0;
  clear(&exec->work);
  stats.graphs--;
  return sticky;
}

EXPORT CUresult cuGraphDestroy(CUgraph graph) {
  LOCKED;
  if (in_callback || !depth || !stats.contexts_retained) return context_state();
  if (!graph->live) return CUDA_ERROR_INVALID_HANDLE;
  graph->live = 0;
  clear(&graph->work);
  stats.graphs--;
  return sticky;
}

/* ---- look-up by name, as cuda-python does it -------------------------------------------------- */

EXPORT CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version,
                                    cuuint64_t flags, CUdriverProcAddressQueryResult *status) {
  static const char *const suffixes[] = {"_v3", "_v2", ""};
  Dl_info here;
  dladdr((void *)cuGetProcAddress_v2, &here);
  void *library = dlopen(here.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  *function = NULL;
  for (int i = 0; i < 3 && !*function; i++) {
    char name[128];
    snprintf(name, sizeof name, "%s%s", symbol, suffixes[i]);
    *function = dlsym(library, name);
  }
  dlclose(library);
  if (status)
    *status = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
