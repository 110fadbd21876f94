"""A shard directory at an address that fsspec knows: s3://bucket/shards, gs://..., hf://..., memory://..."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import fsspec

from bertwright.errors import ShardError, StorageError
from bertwright.lines import address_faults, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Result = TypeVar("Result")

# Seconds before each further try, where the store does not answer. Most stores' own libraries try a few times as well.
_WAITS = (1, 2, 4, 8, 16, 32)
_BLOCK_BYTES = 16 << 20


class Store:
    """Files below an address, read with patience."""

    def __init__(self, address: str, say: Callable[[str], None] | None = None) -> None:
        """`say` is told when something is tried again. Raises SettingsError where nothing can read the address."""
        self.address = address.rstrip("/")
        self._say = say or (lambda _: None)
        with address_faults(address):
            self._system: Any
            self._system, self._root = fsspec.core.url_to_fs(self.address)

    def place(self, name: str) -> str:
        """The address of a file."""
        return f"{self.address}/{name}"

    def read(self, name: str) -> bytes:
        """A small file. Raises FileNotFoundError, ShardError or StorageError."""
        return self._tried(name, lambda: self._system.cat_file(self._path(name)), _WAITS)

    def blocks(self, name: str, size: int, *, patient: bool = True) -> Iterator[bytes]:
        """The first `size` bytes of a file, in parts; fewer where it is shorter. Raises ShardError or StorageError."""
        for start in range(0, size, _BLOCK_BYTES):
            end = min(start + _BLOCK_BYTES, size)
            # A part is one request, so that a connection that broke costs one part.
            try:
                block = self._tried(name, lambda: self._part(name, start, end), _WAITS if patient else ())  # noqa: B023
            except FileNotFoundError:
                raise missing(self.place(name)) from None
            yield block
            if len(block) < end - start:
                return

    def sizes(self) -> dict[str, int] | None:
        """The lengths of all files by name, or None where the store does not list them."""
        try:
            self._system.invalidate_cache()
            found = self._system.ls(self._root, detail=True)
        except Exception:  # noqa: BLE001  # whoever may read may not always list, and some stores cannot
            return None
        return {str(item["name"]).rpartition("/")[2]: int(item["size"] or 0) for item in found}

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _part(self, name: str, start: int, end: int) -> bytes:
        return self._system.cat_file(self._path(name), start=start, end=end)

    def _tried(self, name: str, read: Callable[[], Result], waits: tuple[int, ...]) -> Result:
        for wait in (*waits, None):
            try:
                return read()
            except FileNotFoundError:
                raise
            except PermissionError as error:
                cure = "look at the credentials and at the rights of the bucket"
                raise ShardError(f"may not be read: {one_line(error)}", where=self.place(name), cure=cure) from None
            except Exception as error:  # noqa: BLE001  # each store has errors of its own, and few are OSErrors
                if wait is None:
                    raise StorageError(
                        f"{self.place(name)}: the store does not answer: {one_line(error)}; "
                        "start again when it does, a run that had begun with --resume"
                    ) from None
                self._say(f"{self.place(name)}: {one_line(error)}; tried again in {wait} s")
                time.sleep(wait)
        raise AssertionError  # the last try returns or raises


def missing(place: str) -> ShardError:
    """What is told of a file that the manifest names and the store does not hold."""
    return ShardError("this file of the shard is missing", where=place, cure="upload the shards again")
