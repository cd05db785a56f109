"""Reverse-mode differentiation of an ONNX graph: what is written is ONNX again."""
