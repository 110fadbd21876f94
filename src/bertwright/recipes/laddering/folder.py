"""A ladder's directory.

OUT/rungs/begun.json               what the ladder is
OUT/rungs/NAME/model/              the adapted model of a rung
OUT/rungs/NAME/adapted.json        what its adaptation measured and took: it is finished
OUT/rungs/NAME/seeds/              its fine-tunings, as `finetune --seeds` leaves them, in the end without a model
OUT/best/                          the fine-tuned model that is kept
OUT/ladder.{json,md,png}           what was found
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bertwright.checkpoints.configuration import CONFIG
from bertwright.errors import ModelError
from bertwright.files import OLD, beside, hold, refuse_existing, storage_faults, to_json, write_atomic
from bertwright.recipes.resuming import refuse_other

BEST = "best"
_RUNGS = "rungs"
_BEGUN = "begun.json"
_FOUND = ("ladder.json", "ladder.md", "ladder.png")


class Folder:
    """The places of a ladder; made by `open_folder`."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.rungs = out / _RUNGS
        self.best = out / BEST
        self.json, self.markdown, self.picture = (out / name for name in _FOUND)

    def model(self, rung: str) -> Path:
        """The adapted model of a rung."""
        return self.rungs / rung / "model"

    def adapted(self, rung: str) -> Path:
        """What its adaptation found."""
        return self.rungs / rung / "adapted.json"

    def seeds(self, rung: str) -> Path:
        """Its fine-tunings."""
        return self.rungs / rung / "seeds"

    @property
    def has_work(self) -> bool:
        """Whether anything was made that took its time: prepared text, a checkpoint, a model."""
        made = ("progress.json", "manifest.json", "state.json", CONFIG)
        return any(any(self.rungs.rglob(name)) for name in made)

    def clear(self) -> None:
        """Remove all but begun.json."""
        for entry in self.rungs.iterdir():
            if entry.name != _BEGUN:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for folder in (self.best, beside(self.best, OLD)):
            shutil.rmtree(folder, ignore_errors=True)
        for name in _FOUND:
            (self.out / name).unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove the ladder, and the directory where nothing else lies in it."""
        self.clear()
        shutil.rmtree(self.rungs)
        if not any(self.out.iterdir()):
            self.out.rmdir()


def refuse_folder(out: Path, identity: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
    """Raise ModelError where another ladder, or none, is there to go on with; UserFault where anything else is."""
    folder = Folder(out)
    path = folder.rungs / _BEGUN
    if resume:
        refuse_other(path, out, identity, what="ladder", overwrite=overwrite)
    elif path.exists() and not overwrite:
        raise ModelError("holds a ladder", where=out, cure="go on with --resume, or begin anew with --overwrite")
    elif not path.exists() and not _is_only_begun(folder):
        refuse_existing(out)


@contextmanager
def open_folder(out: Path, identity: dict[str, Any], *, resume: bool, overwrite: bool) -> Iterator[Folder]:
    """Open the ladder at `out` and keep other processes out of it until the block ends.

    Raises as `refuse_folder` does, and UserFault where another process holds it.
    """
    refuse_folder(out, identity, resume=resume, overwrite=overwrite)
    folder = Folder(out)
    path = folder.rungs / _BEGUN
    with storage_faults(out):
        folder.rungs.mkdir(parents=True, exist_ok=True)
        with hold(folder.rungs):
            if not resume:
                # A kill while the old ladder is removed must leave nothing that looks like a ladder to go on with.
                write_atomic(path, to_json({}))
                folder.clear()
                write_atomic(path, to_json(identity))
            yield folder


def _is_only_begun(folder: Folder) -> bool:
    """Whether nothing is there but what a kill left before begun.json was written."""
    if not folder.rungs.is_dir() or any(entry != folder.rungs for entry in folder.out.iterdir()):
        return False
    return all(entry.name.startswith(f".{_BEGUN}") for entry in folder.rungs.iterdir())
