"""What each adaptation of a model is worth to a task: `ladder`."""
