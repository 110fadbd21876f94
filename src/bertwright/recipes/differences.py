"""In what a run, a series or a ladder that is to go on differs from the one that began."""

from __future__ import annotations

import json
from typing import Any

# That are told at once.
_TOLD = 8


def told_differences(known: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What differs, settings by their own names; empty where nothing does."""
    # Compared as JSON has it: a tuple and a list are one there.
    details = _differences("", known, json.loads(json.dumps(wanted)))
    more = f" and {len(details) - _TOLD} more" if len(details) > _TOLD else ""
    return "; ".join(details[:_TOLD]) + more


def _differences(key: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(old.keys() | new.keys())
        return [found for name in names for found in _differences(name, old.get(name), new.get(name))]
    return [] if old == new else [f"`{key}` was {_short(old)} and is {_short(new)}"]


def _short(value: Any) -> str:
    told = repr(value)
    return told if len(told) <= 80 else told[:77] + "..."
