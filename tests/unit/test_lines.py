from __future__ import annotations

import errno
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
import zstandard
from fsspec.spec import AbstractFileSystem

from bertwright.errors import CorpusError, StorageError, UserFault
from bertwright.lines import lines_of, read_lines

TEXT = "one\n\ntwo é 中\n".encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", TEXT),
        ("a.txt.gz", gzip.compress(TEXT)),
        ("a.txt.GZ", gzip.compress(TEXT)),
        ("a.txt.gz", gzip.compress(TEXT[:5]) + gzip.compress(TEXT[5:])),
        ("a.txt.xz", lzma.compress(TEXT)),
        ("a.txt.zst", zstandard.compress(TEXT)),
        ("a.txt.zst", zstandard.compress(TEXT[:5]) + zstandard.compress(TEXT[5:])),
        ("a.txt.zst", zstandard.compress(b"") + zstandard.compress(TEXT)),
    ],
    ids=["plain", "gz", "GZ", "two gz", "xz", "zst", "two zst", "an empty zst first"],
)
def test_compressed_text_is_text(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert list(lines_of(tmp_path / name)) == [(1, "one"), (2, ""), (3, "two é 中")]


NUMBERED = "".join(f"line {number} of a text\n" for number in range(100_000))


@pytest.mark.parametrize("damage", ["foreign", "cut short", "changed", "garbled"])
@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("a.gz", gzip.compress),
        ("a.xz", lzma.compress),
        ("a.zst", zstandard.ZstdCompressor(write_checksum=True).compress),  # as the command zstd does
    ],
)
def test_damaged_compression_is_named(
    tmp_path: Path, name: str, compress: Callable[[bytes], bytes], damage: str
) -> None:
    whole = compress(NUMBERED.encode())
    half = len(whole) // 2
    (tmp_path / name).write_bytes(
        {
            "foreign": b"this is plain text, whatever its name says",
            "cut short": whole[:-20],
            "garbled": whole[:10] + b"\xff" * 100 + whole[110:],  # right after the header of a .gz
            "changed": whole[:half] + b"\xff" * 1000 + whole[half + 1000 :],
        }[damage]
    )
    with pytest.raises(CorpusError) as caught:
        list(lines_of(tmp_path / name))
    assert str(caught.value).startswith(f"{tmp_path / name}: the compressed data is damaged: ")


def test_a_long_compressed_file_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.zst").write_bytes(zstandard.compress(NUMBERED.encode()) * 2)
    assert [line for _, line in lines_of(tmp_path / "a.zst")] == NUMBERED.splitlines() * 2


def test_lines_end_at_newlines_only_and_a_byte_order_mark_is_no_text() -> None:
    content = b"\xef\xbb\xbfa\r\nb\x0cc\xe2\x80\xa8d\n\xef\xbb\xbf\n e "
    assert list(read_lines("a", io.BytesIO(content))) == [(1, "a"), (2, "b\x0cc\u2028d"), (3, "\ufeff"), (4, " e ")]
    assert list(read_lines("a", io.BytesIO(b""))) == []


def test_a_fault_in_text_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertwright.lines.MAX_LINE_BYTES", 1 << 20)
    path = tmp_path / "a.txt"

    def fault(content: bytes) -> str:
        path.write_bytes(content)
        with pytest.raises(CorpusError) as caught:
            list(lines_of(path))
        return str(caught.value)

    assert fault(b"a\nb\0c\n") == f"{path}:2: this is a binary file, not text; give text in UTF-8"
    assert fault(b"a\nb\ncaf\xe9\n") == (
        f"{path}:3: bytes that are not UTF-8 (0xe9 at byte 4 of the line); "
        "convert the file, as in: iconv -f latin1 -t utf-8"
    )
    assert fault(b"a\n" + b"x" * (1 << 20) + b"\n") == f"{path}:2: a line is longer than 1 MB; break it"
    path.write_bytes(b"x" * ((1 << 20) - 1) + b"\n")
    assert len(list(lines_of(path))) == 1


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "no", "no such file"), (tmp_path, "is a directory, not a file")):
        with pytest.raises(CorpusError) as caught:
            list(lines_of(path))
        assert str(caught.value) == f"{path}: {what}"


class _Failing(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store whose files give a little, and then an error."""

    protocol = "failing"
    error: Exception

    def _open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        del path, mode, more
        error = self.error

        class File(io.RawIOBase):
            read_once = False

            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any) -> int:
                if self.read_once:
                    raise error
                self.read_once = True
                buffer[:10] = b"one\ntwo\nth"
                return 10

        return File()


class _ClientError(Exception):
    """Of a library, and no OSError."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
            "cannot be read on: Connection reset by peer",
        ),
        (OSError(errno.EIO, "Input/output error"), "cannot be read on: Input/output error"),
        (
            _ClientError("Response payload is not completed\nat all"),
            "cannot be read: _ClientError: Response payload is not",
        ),
    ],
)
def test_a_connection_that_breaks_is_not_passed_over(error: Exception, told: str) -> None:
    """Who skips bad lines would get another text of the same file, and not know it."""
    fsspec.register_implementation("failing", _Failing, clobber=True)
    _Failing.error = error
    skipped: list[UserFault] = []
    found = lines_of("failing://a/b.txt", CorpusError, skipped.append)
    with pytest.raises(StorageError, match=f"^failing://a/b.txt: {told}"):
        list(found)
    assert skipped == []
