"""What is wrong inside of a file; whoever knows the file's name makes a ModelError of it."""

from __future__ import annotations


class Damaged(ValueError):
    """Bytes that are not what their format says. The message is what a reader may be told."""
