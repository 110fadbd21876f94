"""bertwright.json: a model's lineage, task and metrics, checked where it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bertwright.errors import ModelError
from bertwright.files import read_json

if TYPE_CHECKING:
    from pathlib import Path

    from bertwright.encoder.config import EncoderConfig

RECORD = "bertwright.json"


def read_record(path: Path) -> dict[str, Any]:
    """bertwright.json, or an empty one. Raises ModelError where it is not what every command of ours writes."""
    return checked_record(read_json(path, ModelError), path) if path.exists() else {}


def checked_record(record: dict[str, Any], path: Path) -> dict[str, Any]:
    """What was read from bertwright.json. Raises ModelError where it is not what every command of ours writes."""
    lineage = record.get("lineage", [])
    cure = "remove the file to use the model as one of unknown origin"
    if not isinstance(lineage, list) or not all(
        isinstance(s, dict) and isinstance(s.get("step"), str) for s in lineage
    ):
        raise ModelError("`lineage` must be a list of objects with a `step`", where=path, cure=cure)
    longest = record.get("max_length", 512)
    if type(longest) is not int or longest < 8:  # a truth value is an int too
        raise ModelError(f"`max_length` must be a number of tokens, but is {longest!r}", where=path, cure=cure)
    for name, kind in (("task", str), ("columns", dict), ("metrics", dict)):
        if not isinstance(record.get(name, kind()), kind):
            raise ModelError(f"`{name}` is {record[name]!r}, which no command writes", where=path, cure=cure)
    columns = record.get("columns", {})
    texts, label = columns.get("texts", []), columns.get("label")
    if not isinstance(texts, list) or not all(isinstance(name, str) for name in (*texts, label or "")):
        raise ModelError(f"`columns` is {columns!r}, which no command writes", where=path, cure=cure)
    return record


def longest_of(config: EncoderConfig, record: dict[str, Any]) -> int:
    """Tokens that an input may have: as many as the model was trained on, where its record tells."""
    positions = min(512, config.max_position_embeddings)
    longest: int = min(positions, record.get("max_length", positions))
    return longest


def agreed_task(task: str, recorded: str, where: Path) -> str:
    """The task as bertwright.json has it, which may tell more than config.json, but nothing else. Raises ModelError."""
    finer = {"classify": ("classify", "pair"), "": ("embed",)}.get(task, (task,))
    if recorded in finer:
        return recorded
    if recorded and task:
        cure = "remove the file to use the model as one of unknown origin"
        raise ModelError(f"`task` is {recorded!r}, but the model's head is one to {task}", where=where, cure=cure)
    return task
