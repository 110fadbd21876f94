"""Optimizers, schedules, precision, the loop, several processes."""
