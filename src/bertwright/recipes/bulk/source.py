"""What a bulk run follows from: the model and the rows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from bertwright.checkpoints.graphs import FORM_OF
from bertwright.files import sha256, storage_faults
from bertwright.hub import located
from bertwright.lines import STANDARD_INPUT, is_remote
from bertwright.version import VERSION

# Of the rows, enough to tell one file from another that was put in its place.
_LOOKED_AT = 1 << 20
_MODEL_FILES = ("*.safetensors", "*.bin", *FORM_OF, "model.onnx.data", "vocab.txt", "tokenizer*.json", "*.json")


def identity_of(model: Path, file: str, settings: dict[str, Any]) -> dict[str, Any] | None:
    """All that the output follows from; None where nobody can tell whether the rows are the same, as of a pipe."""
    if file == STANDARD_INPUT or is_remote(file) or not Path(file).is_file():
        return None
    folder = located(model)
    files = sorted({found for pattern in _MODEL_FILES for found in folder.glob(pattern) if found.is_file()})
    return {
        "bertwright": VERSION,
        "model": {found.name: sha256(found) for found in files},
        "file": str(Path(file).resolve()),
        **_seen_of(Path(file)),
        **settings,
    }


def _seen_of(path: Path) -> dict[str, Any]:
    with storage_faults(path), path.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(0)
        first = opened.read(_LOOKED_AT)
        opened.seek(max(0, size - _LOOKED_AT))
        seen = hashlib.sha256(first + opened.read(_LOOKED_AT)).hexdigest()
    # A change in the middle shows in the time alone.
    return {"bytes": size, "changed": path.stat().st_mtime_ns, "sha256_of_both_ends": seen}
