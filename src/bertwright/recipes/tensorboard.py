"""The figures of a run as an event file, which TensorBoard draws meanwhile; the package is the extra `tensorboard`."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bertwright.errors import SettingsError

# What begins a figure's name, and the heading that TensorBoard shows it under; all others are of the training itself.
_GROUPS = {"held_out_": "held_out", "dev_": "dev"}


def refuse_without_tensorboard() -> None:
    """Raise SettingsError where the package is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise SettingsError("`--tensorboard` needs TensorBoard", cure="pip install 'bertwright[tensorboard]'")


class Board:
    """The event file of a sitting, which says what metrics.jsonl says."""

    def __init__(self, folder: Path, earlier: Iterable[Mapping[str, Any]], seconds: float) -> None:
        """earlier: the objects of metrics.jsonl; seconds: spent on the run so far."""
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # an extra; most runs need none

        # Written anew from metrics.jsonl: going on in the old files would leave in them the steps that are done again,
        # and a gap where a sitting went by without --tensorboard. They are emptied and not removed: a TensorBoard that
        # is reading one goes on to the next only from its end.
        for old in folder.glob("events.out.tfevents.*"):
            old.write_bytes(b"")
        # A TensorBoard that looks on forgets what it read at step 0 and after.
        self._writer = SummaryWriter(str(folder), purge_step=0)
        # Times are those spent on the run, as if it had gone on without a pause until now.
        self._begun, self._seconds = time.time() - seconds, 0.0
        for values in earlier:
            self._enter(values)
        self._writer.flush()

    def add(self, values: Mapping[str, Any]) -> None:
        """Add an object of metrics.jsonl: its numbers as scalars, an event as text. Lists have no place here."""
        self._enter(values)
        # Else two minutes would go by before anyone sees it.
        self._writer.flush()

    def close(self) -> None:
        """Finish the event file."""
        self._writer.close()

    def _enter(self, values: Mapping[str, Any]) -> None:
        step = values["step"]
        # An evaluation tells no time of its own: it is that of the report before it.
        self._seconds = values.get("seconds", self._seconds)
        when = self._begun + self._seconds
        for name, value in values.items():
            if name == "event":
                self._writer.add_text("events", value, step, when)
            elif name != "step" and isinstance(value, int | float):
                self._writer.add_scalar(_tag(name), value, step, when)


def _tag(name: str) -> str:
    for prefix, group in _GROUPS.items():
        if name.startswith(prefix):
            return f"{group}/{name.removeprefix(prefix)}"
    return f"training/{name}"
