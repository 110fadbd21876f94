"""Examples and texts as tensors."""
