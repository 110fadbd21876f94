"""A file that grows from its front, in a folder beside its place until it is whole; the same wish goes on with it.

.OUT.bertwright-partial/begun.json   what is being written: the model, the settings
.OUT.bertwright-partial/state.json   how far it is: rows, bytes, rows that were cut, a hash of the rows that were read
.OUT.bertwright-partial/content      what becomes OUT
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from bertwright.errors import DiskFull, UserFault
from bertwright.files import PARTIAL, beside, hold, read_json, storage_faults, to_json, write_atomic


@dataclass(frozen=True, slots=True)
class State:
    """How far a file is: its rows and bytes, those rows that were not read whole, and the hash of what was read."""

    rows: int = 0
    bytes: int = 0
    cut: int = 0
    source: str = ""


class Growing:
    """Made by `growing_file`. What `add` was given is kept, whatever comes; what was begun after it is written anew."""

    def __init__(self, folder: Path, file: IO[bytes], state: State) -> None:
        self.state, self.folder = state, folder
        self._file = file
        file.truncate(state.bytes)
        file.seek(state.bytes)

    def add(self, content: bytes, *, rows: int = 0, cut: int = 0, source: str = "") -> None:
        """Write the next rows, of which `cut` were not read whole; `source` is the hash of all that were read."""
        self._file.write(content)
        self._sync()
        now = self.state
        state = State(now.rows + rows, now.bytes + len(content), now.cut + cut, source)
        write_atomic(self.folder / "state.json", to_json(asdict(state)))
        self.state = state

    def rewrite(self, start: bytes) -> None:
        """Put other bytes in place of the first ones, such as a header that tells the number of rows."""
        self._file.seek(0)
        self._file.write(start)
        self._sync()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def growing_file(
    path: Path, identity: dict[str, Any], *, overwrite: bool, say: Callable[[str], None]
) -> Iterator[Growing]:
    """Give a file to write; it becomes `path` when the block ends well.

    Whatever ends it earlier, rows that were written are kept, and the same `identity` goes on with them; with
    `overwrite` another one begins anew. Raises UserFault where `path` is there and not to be replaced, or where another
    wish has written rows.
    """
    refuse_file(path, overwrite=overwrite)
    path = path.resolve()
    folder = beside(path, PARTIAL)
    with storage_faults(path):
        folder.mkdir(exist_ok=True)
        with hold(folder):
            state = _begun(folder, identity, say, overwrite=overwrite)
            growing = None
            try:
                with storage_faults(path), (folder / "content").open("r+b") as file:
                    growing = Growing(folder, file, state)
                    yield growing
                # It may have come to be meanwhile.
                refuse_file(path, overwrite=overwrite)
                (folder / "content").replace(path)
            except DiskFull:
                if growing is None or not growing.state.rows:
                    raise
                kept = f"{growing.state.rows:,} rows are kept; free some space and give the same command again"
                raise DiskFull(f"{path}: the disk is full; {kept}") from None
            except UserFault:
                if growing is None or not growing.state.rows:
                    shutil.rmtree(folder)
                else:
                    say(f"{growing.state.rows:,} rows are written already: the same command goes on after them")
                raise
            shutil.rmtree(folder)


def refuse_file(path: Path, *, overwrite: bool) -> None:
    """Raise UserFault where a file cannot be written at `path`."""
    if path.exists() and not path.is_file():
        what = "is a directory" if path.is_dir() else "is no file that could be replaced"
        raise UserFault(what, where=path, cure="name a file")
    if not path.resolve().parent.is_dir():
        raise UserFault("its folder does not exist", where=path, cure="make it, or choose another --out")
    if path.exists() and not overwrite:
        raise UserFault("exists", where=path, cure="choose another --out, or give --overwrite")


def _begun(folder: Path, identity: dict[str, Any], say: Callable[[str], None], *, overwrite: bool) -> State:
    """How far the file is: what an earlier start left, where it was the same wish, or nothing."""
    begun, progress, content = (folder / name for name in ("begun.json", "state.json", "content"))
    wish: dict[str, Any] = {}
    known = State()
    with contextlib.suppress(UserFault, TypeError):
        wish, known = read_json(begun), replace(known, **read_json(progress))
    whole = all(type(value) is type(getattr(State(), name)) for name, value in asdict(known).items())
    # Without content it was put in its place before, and only the folder stayed.
    if whole and known.rows and content.is_file() and content.stat().st_size >= known.bytes:
        if wish == identity:
            say(f"going on after {known.rows:,} rows that an earlier start has written")
            return known
        if wish and not overwrite:
            what = f"another command or another model has begun this file, {known.rows:,} rows of it"
            cure = "give that command again, choose another --out, or begin anew with --overwrite"
            raise UserFault(what, where=folder, cure=cure)
    for entry in folder.iterdir():
        entry.unlink()
    content.touch()
    write_atomic(progress, to_json(asdict(State())))
    write_atomic(begun, to_json(identity))
    return State()
