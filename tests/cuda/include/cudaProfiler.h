/* Stands in where the installed CUDA headers come without this one, which PyCUDA includes. */

#pragma once
#include <cuda.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { CU_OUT_KEY_VALUE_PAIR, CU_OUT_CSV } CUoutput_mode;
CUresult cuProfilerInitialize(const char *config, const char *output, CUoutput_mode mode);
CUresult cuProfilerStart(void);
CUresult cuProfilerStop(void);

#ifdef __cplusplus
}
#endif
