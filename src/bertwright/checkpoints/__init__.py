"""The model directory with its card, and the training states of a run."""
