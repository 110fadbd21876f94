"""What a bulk run follows from: the model and the rows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from bertwright.checkpoints.model_directory import CARD, DEV
from bertwright.files import sha256, storage_faults
from bertwright.hub import located
from bertwright.lines import STANDARD_INPUT, is_remote
from bertwright.version import VERSION

# Of the rows, enough to tell one file from another that was put in its place.
_LOOKED_AT = 1 << 20


def identity_of(model: Path, file: str, settings: dict[str, Any]) -> dict[str, Any] | None:
    """All that the output follows from; None where nobody can tell whether the rows are the same, as of a pipe."""
    if file == STANDARD_INPUT or is_remote(file) or not Path(file).is_file():
        return None
    folder = located(model)
    files = sorted(found for found in folder.rglob("*") if found.is_file() and not _is_aside(found.relative_to(folder)))
    return {
        "bertwright": VERSION,
        "model": {str(found.relative_to(folder)): sha256(found) for found in files},
        "file": str(Path(file).resolve()),
        **_seen_of(Path(file)),
        **settings,
    }


def _is_aside(name: Path) -> bool:
    """Whether no answer follows from a file of a model directory: how it was trained, and what it is said of it."""
    return name.parts[0] in ("run", "series", "adapt", DEV, CARD) or any(part.startswith(".") for part in name.parts)


def _seen_of(path: Path) -> dict[str, Any]:
    with storage_faults(path), path.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(0)
        first = opened.read(_LOOKED_AT)
        opened.seek(max(0, size - _LOOKED_AT))
        seen = hashlib.sha256(first + opened.read(_LOOKED_AT)).hexdigest()
    # A change in the middle shows in the time alone.
    return {"bytes": size, "changed": path.stat().st_mtime_ns, "sha256_of_both_ends": seen}
