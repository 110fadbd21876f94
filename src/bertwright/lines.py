"""Lines of text with their numbers, out of any file: local or remote (fsspec), plain or compressed, or standard input.

A place is a path, a URL such as s3://bucket/file.txt.gz, or `-` for standard input.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import sys
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import fsspec
import zstandard

from bertwright.errors import BertwrightError, CorpusError, SettingsError, StorageError, UserFault

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

STANDARD_INPUT = "-"
MAX_LINE_BYTES = 64 << 20


def refuse(fault: UserFault) -> None:
    """The handler that goes on with nothing."""
    raise fault


def is_remote(place: str) -> bool:
    """Whether a place is a URL."""
    return "://" in place


def one_line(error: BaseException) -> str:
    """What an error of a library says first, or its name where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def told(place: str | Path) -> str:
    """The name of a place in messages."""
    return "standard input" if str(place) == STANDARD_INPUT else str(place)


def lines_of(
    place: str | Path,
    fault: type[UserFault] = CorpusError,
    bad: Callable[[UserFault], None] = refuse,
    opened: Callable[[IO[bytes]], None] | None = None,
) -> Generator[tuple[int, str]]:
    """Lines of UTF-8 text with their numbers from 1, without line ends; `opened` is given the file as it lies.

    A line that is no text (bytes that are not UTF-8, NUL bytes, more than MAX_LINE_BYTES, so that a file without line
    ends cannot fill the memory) is given to `bad` as a `fault` with file:line, and left out where that returns. So are
    a file that is not there and damaged compression; the rest of `faults_of` is raised.
    """
    with faults_of(place, fault, bad), open_bytes(place, opened) as stream:
        yield from read_lines(place, stream, fault, bad)


def read_lines(
    place: str | Path,
    stream: IO[bytes],
    fault: type[UserFault] = CorpusError,
    bad: Callable[[UserFault], None] = refuse,
) -> Generator[tuple[int, str]]:
    """The same, of an open stream; `place` names it."""
    number = 0
    while True:
        line = stream.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        number += 1
        where = f"{told(place)}:{number}"
        if len(line) > MAX_LINE_BYTES:
            bad(fault(f"a line is longer than {MAX_LINE_BYTES >> 20} MB", where=where, cure="break it"))
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if b"\0" in line:
            bad(fault("this is a binary file, not text", where=where, cure="give text in UTF-8"))
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            what = f"bytes that are not UTF-8 (0x{line[error.start]:02x} at byte {error.start + 1} of the line)"
            bad(fault(what, where=where, cure="convert the file, as in: iconv -f latin1 -t utf-8"))
            continue
        yield number, text.rstrip("\r\n")


def parse_json_line(line: str, where: str, fault: type[UserFault]) -> Any:
    """The value of one line of JSONL; raises `fault` with the place where it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # ValueError: a number of thousands of digits, too
        raise fault("this line is no JSON", where=where, cure="one object a line is expected") from None


@contextmanager
def faults_of(place: str | Path, fault: type[UserFault], bad: Callable[[UserFault], None] = refuse) -> Iterator[None]:
    """Turn what is wrong with a file that is read into `fault`, given to `bad`.

    Raises `fault` where it may not be read, StorageError where the machine, or the one that it lies on, cannot go on
    reading: to pass over that would make another text of the same file.
    """
    try:
        yield
    except BertwrightError:
        raise
    except FileNotFoundError:
        bad(fault("no such file", where=place))
    except IsADirectoryError:
        bad(fault("is a directory, not a file", where=place))
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError) as error:
        bad(fault(f"the compressed data is damaged: {error}", where=place))
    except PermissionError as error:
        raise fault(f"cannot be read: {error.strerror or error}", where=place) from None
    except OSError as error:
        raise StorageError(f"{told(place)}: cannot be read on: {error.strerror or error}") from None
    except Exception as error:
        # The clients of remote stores have errors of their own.
        if not is_remote(str(place)):
            raise
        raise StorageError(f"{place}: cannot be read: {type(error).__name__}: {one_line(error)}") from None


@contextmanager
def open_bytes(place: str | Path, opened: Callable[[IO[bytes]], None] | None = None) -> Iterator[IO[bytes]]:
    """Open a place for reading, .gz, .zst and .xz taken out of their compression; closed when the block ends.

    `opened` is given the file as it lies, whose `tell` says how far it is read.
    """
    name = str(place)
    if name == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        raw = stack.enter_context(_open_remote(name) if is_remote(name) else Path(place).open("rb"))  # noqa: SIM115
        if opened is not None:
            opened(raw)
        suffix = Path(name).suffix.lower()
        if suffix == ".gz":
            yield io.BufferedReader(stack.enter_context(gzip.GzipFile(fileobj=raw)), 1 << 20)
        elif suffix == ".xz":
            yield io.BufferedReader(stack.enter_context(lzma.LZMAFile(raw)), 1 << 20)
        elif suffix == ".zst":
            yield io.BufferedReader(_ZstandardReader(raw), 1 << 20)
        else:
            yield raw


def _open_remote(place: str) -> IO[bytes]:
    with address_faults(place):
        # Not every file system's files know all of a file's methods; a reader around them does.
        return io.BufferedReader(fsspec.open(place, "rb").open(), 1 << 20)


@contextmanager
def address_faults(place: str) -> Iterator[None]:
    """Turn what fsspec says of an address that it cannot use into SettingsError."""
    try:
        yield
    except ImportError as error:
        extra = {"s3": "s3", "s3a": "s3", "hf": "hub"}.get(place.partition("://")[0])
        cure = f"pip install 'bertwright[{extra}]'" if extra else "install what fsspec names"
        raise SettingsError(f"what reads such an address is not installed: {error}", where=place, cure=cure) from None
    except ValueError as error:
        raise SettingsError(f"cannot open this address: {error}", where=place) from None


class _ZstandardReader(io.RawIOBase):
    """The frames of a .zst file as one stream (zstd -T and appended logs make several).

    The library's own stream_reader takes a file that was cut short for a whole one.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._compressed = b""
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._plain:
            if self._frame.eof:
                self._compressed = self._frame.unused_data
                self._frame, self._begun = zstandard.ZstdDecompressor().decompressobj(), False
            self._compressed = self._compressed or self._file.read(1 << 14)
            if not self._compressed:
                if self._begun:
                    raise EOFError("it ends in the middle of a frame")
                return 0
            self._begun = True
            self._plain = memoryview(self._frame.decompress(self._compressed))
            self._compressed = b""
        size = min(len(buffer), len(self._plain))
        buffer[:size] = self._plain[:size]
        self._plain = self._plain[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()
