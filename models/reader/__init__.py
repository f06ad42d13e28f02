"""What answering imports, without torch: the extractive reader over ONNX Runtime, its weights, its cache of block states."""
