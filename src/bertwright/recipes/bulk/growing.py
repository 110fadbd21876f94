"""A file that grows from its front, in a folder beside its place until it is whole; the same wish goes on with it.

.OUT.bertwright-partial/begun.json   what is being written: the model, the rows, the settings
.OUT.bertwright-partial/state.json   how far it is: rows, bytes, rows that were cut
.OUT.bertwright-partial/content      what becomes OUT
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bertwright.errors import UserFault
from bertwright.files import PARTIAL, beside, hold, read_json, storage_faults, to_json, write_atomic


class Growing:
    """Made by `growing_file`. What `add` was given is kept, whatever comes; what was begun after it is written anew."""

    def __init__(self, folder: Path, file: IO[bytes], state: dict[str, int]) -> None:
        self.rows, self.cut = state["rows"], state["cut"]
        self._bytes = state["bytes"]
        self._folder, self._file = folder, file
        file.truncate(self._bytes)
        file.seek(self._bytes)

    def add(self, content: bytes, *, rows: int = 0, cut: int = 0) -> None:
        """Write the next rows, of which `cut` were not read whole."""
        self._file.write(content)
        self._sync()
        self.rows, self.cut, self._bytes = self.rows + rows, self.cut + cut, self._bytes + len(content)
        state = {"rows": self.rows, "bytes": self._bytes, "cut": self.cut}
        write_atomic(self._folder / "state.json", to_json(state))

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
    path: Path, identity: dict[str, Any] | None, *, overwrite: bool, say: Callable[[str], None]
) -> Iterator[Growing]:
    """Give a file to write; it becomes `path` when the block ends well.

    A kill, a wish to stop or a full disk keeps what was written, and the same `identity` goes on with it; another one,
    and None, begins anew; a user's fault removes it. Raises UserFault where `path` is there and not to be replaced.
    """
    refuse_file(path, overwrite=overwrite)
    path = path.resolve()
    folder = beside(path, PARTIAL)
    with storage_faults(path):
        folder.mkdir(exist_ok=True)
        with hold(folder):
            state = _begun(folder, identity, say)
            try:
                with (folder / "content").open("r+b") as file:
                    yield Growing(folder, file, state)
                (folder / "content").replace(path)
            except UserFault:
                shutil.rmtree(folder)
                raise
            shutil.rmtree(folder)


def refuse_file(path: Path, *, overwrite: bool) -> None:
    """Raise UserFault where a file cannot be written at `path`."""
    if path.is_dir():
        raise UserFault("is a directory", where=path, cure="name a file")
    if not path.resolve().parent.is_dir():
        raise UserFault("its folder does not exist", where=path, cure="make it, or choose another --out")
    if path.exists() and not overwrite:
        raise UserFault("exists", where=path, cure="choose another --out, or give --overwrite")


def _begun(folder: Path, identity: dict[str, Any] | None, say: Callable[[str], None]) -> dict[str, int]:
    """How far the file is: what an earlier start left, where it was the same wish, or nothing."""
    begun, progress = folder / "begun.json", folder / "state.json"
    with contextlib.suppress(UserFault):
        if identity is not None and read_json(begun) == identity:
            state: dict[str, int] = read_json(progress)
            say(f"going on after {state['rows']:,} rows that an earlier start has written")
            return state
    if any(folder.iterdir()):
        say(f"{folder}: left by an earlier start with another wish; removed, this one begins anew")
        for entry in folder.iterdir():
            entry.unlink()
    (folder / "content").touch()
    state = {"rows": 0, "bytes": 0, "cut": 0}
    write_atomic(progress, to_json(state))
    write_atomic(begun, to_json(identity or {}))
    return state
