"""Choices that several verbs offer."""

from __future__ import annotations

from enum import StrEnum


class OnErrorChoice(StrEnum):
    """What to do with a line that is no document."""

    stop = "stop"
    skip = "skip"


class DedupeChoice(StrEnum):
    """Which documents are left out for having been there before."""

    none = "none"
    exact = "exact"
    near = "near"


class EngineChoice(StrEnum):
    """Where the work is done."""

    local = "local"
    ray = "ray"
