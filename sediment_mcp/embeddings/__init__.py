"""Text to vectors: the default model on onnxruntime, any other through sentence-transformers."""
