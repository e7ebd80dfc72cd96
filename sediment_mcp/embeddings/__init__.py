"""Text to vectors: the default model by onnxruntime, others by sentence-transformers."""
