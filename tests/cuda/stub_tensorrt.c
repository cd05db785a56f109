/* All that the TensorRT bindings ask of libnvinfer, libnvinfer_plugin and libnvonnxparser when they
   are imported. Built once per library name and version; nothing here can do any work. */

#define ABSENT(name) \
  void *name(void) { return 0; }

ABSENT(createInferBuilder_INTERNAL)
ABSENT(createInferRefitter_INTERNAL)
ABSENT(createInferRuntime_INTERNAL)
ABSENT(createNvOnnxParser_INTERNAL)
ABSENT(createNvOnnxParserRefitter_INTERNAL)
ABSENT(getBuilderPluginRegistry)
ABSENT(getNvOnnxParserVersion)
ABSENT(getPluginRegistry)
ABSENT(initLibNvInferPlugins)
