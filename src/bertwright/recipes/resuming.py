"""Whether what is to go on is what began: for a run, a series and a ladder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bertwright.errors import ModelError, SettingsError
from bertwright.files import read_json

# Differences that are told at once.
_TOLD = 8


def refuse_other(
    begun: Path, out: Path, identity: dict[str, Any], *, what: str, overwrite: bool, instead: str = ""
) -> None:
    """Raise where `begun`, the JSON file of what began in `out`, is missing or tells of something else.

    `what` names it, as in "run". `instead` goes on the cure: what to do for who wants it otherwise.
    """
    refuse_both(resume=True, overwrite=overwrite)
    if not begun.exists():
        raise ModelError(f"holds no {what} to go on with", where=out, cure="start it without --resume")
    known = read_json(begun, ModelError)
    if not known:
        raise ModelError("was being cleared by --overwrite when that was killed", where=out, cure="give it once more")
    if differing := _told_differences(known, identity):
        cure = f"resume it with everything that it began with{instead and f', {instead}'}"
        raise ModelError(f"the {what} began otherwise: {differing}", where=out, cure=cure)


def refuse_both(*, resume: bool, overwrite: bool) -> None:
    """Raise SettingsError where both are wished: whoever reads for minutes first asks here before."""
    if resume and overwrite:
        cure = "go on with --resume alone, or begin anew with --overwrite alone"
        raise SettingsError("`--overwrite` would clear away what `--resume` goes on with", cure=cure)


def _told_differences(known: dict[str, Any], wanted: dict[str, Any]) -> str:
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
