"""A model goes on pretraining on a field's text, then on a task's own: `adapt`."""
