"""The checkpoints of the original code, read and written without TensorFlow."""
