from __future__ import annotations

import gzip
import io
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard

import bertwright.files as under_test
from bertwright.errors import CorpusError, ShardError, StorageError, UserFault
from bertwright.files import hold, lines_of, new_directory, read_json, read_lines, refuse_existing, sha256, write_atomic

FULL = Path("/dev/full")  # every write to it fails as on a full disk
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB, where one may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=64k", "none", str(place)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Writing


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "a.partial").write_bytes(b"left by a kill")
    write_atomic(tmp_path / "a", b"first")
    write_atomic(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"second"
    assert names(tmp_path) == ["a"]


@needs_full
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"old")
    (tmp_path / "a.partial").symlink_to(FULL)
    with pytest.raises(StorageError, match="the disk is full; free some space and start again"):
        write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "a", b"old")

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_missing_folder_is_the_callers_fault(tmp_path: Path) -> None:
    with pytest.raises(UserFault) as caught:
        write_atomic(tmp_path / "no" / "a", b"")
    assert str(caught.value) == f"{tmp_path / 'no' / 'a.partial'}: no such file or directory"


def test_a_directory_appears_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with new_directory(out) as partial:
        (partial / "sub").mkdir()
        (partial / "sub" / "a").write_text("a")
        assert not out.exists()
    assert (out / "sub" / "a").read_text() == "a"
    assert names(tmp_path / "deep") == ["out"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_a_directory_vanishes_on_failure(tmp_path: Path, error: BaseException) -> None:
    def write() -> None:
        with new_directory(tmp_path / "out") as partial:
            (partial / "a").write_text("a")
            raise error

    with pytest.raises(type(error)):
        write()
    assert names(tmp_path) == []


def test_what_a_kill_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "old").write_text("old")
    told: list[str] = []
    with new_directory(tmp_path / "out", say=told.append) as partial:
        assert names(partial) == []
    assert names(tmp_path) == ["out"]
    assert told == [
        f"{tmp_path}/out.partial: left unfinished by an earlier run that was killed; removed, this one begins anew"
    ]


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "out.old").mkdir()
    (tmp_path / "out.old" / "a").write_text("old")
    told: list[str] = []
    with pytest.raises(ValueError, match="stop"), new_directory(tmp_path / "out", say=told.append):
        raise ValueError("stop")
    assert (tmp_path / "out" / "a").read_text() == "old"
    assert told == [f"{tmp_path}/out.old: an earlier run was killed while replacing it; put back as {tmp_path}/out"]
    (tmp_path / "out.old").mkdir()
    told.clear()
    with new_directory(tmp_path / "out", overwrite=["a"], say=told.append) as partial:
        (partial / "a").write_text("new")
    assert names(tmp_path) == ["out"]
    assert told == [f"{tmp_path}/out.old: already replaced when an earlier run was killed; removed"]


def test_what_is_not_ours_is_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("train-1.npy", "thesis.txt"):
        (out / name).write_text("keep me")
    with pytest.raises(UserFault) as caught, new_directory(out, overwrite=["train-*.npy"]):
        pass
    assert str(caught.value) == (
        f"{out}: holds `thesis.txt`, which this command never makes, so --overwrite would lose it; "
        "move it away, or choose another --out"
    )
    assert names(out) == ["thesis.txt", "train-1.npy"]


def test_a_directory_is_only_overwritten_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with new_directory(out) as partial:  # an empty one counts as absent
        (partial / "a").write_text("first")
    with pytest.raises(UserFault) as caught, new_directory(out):
        pass
    assert str(caught.value) == f"{out}: exists and is not empty; choose another --out, or give --overwrite"
    with pytest.raises(ValueError, match="stop"), new_directory(out, overwrite=["*"]):
        raise ValueError("stop")
    assert (out / "a").read_text() == "first"
    with new_directory(out, overwrite=["*"]) as partial:
        (partial / "b").write_text("second")
    assert names(out) == ["b"]
    assert names(tmp_path) == ["out"]


def test_a_file_or_a_link_is_never_replaced_by_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(UserFault) as caught:
            refuse_existing(tmp_path / name, overwrite=["*"])
        assert str(caught.value) == f"{tmp_path / name}: exists and is no directory; choose another --out"


def test_a_second_process_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from bertwright.files import new_directory\n"
        "with new_directory(pathlib.Path(sys.argv[1])): print('entered')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    with new_directory(tmp_path / "out") as partial:
        (partial / "a").write_text("a")
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.stdout == ""
        assert f"{partial}: another process is writing this directory; wait for it, or choose another" in second.stderr
    assert names(tmp_path / "out") == ["a"]
    shutil.rmtree(tmp_path / "out")
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "entered\n"


def test_a_hold_ends_with_its_block(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(UserFault, match="another process is writing"), hold(tmp_path):
        pass
    with hold(tmp_path):
        pass


def test_a_disk_that_fills_up_leaves_nothing_behind(small_disk: Path) -> None:
    def write(partial: Path) -> None:
        for number in range(100):
            (partial / str(number)).write_bytes(b"x" * 4096)

    with pytest.raises(StorageError, match="the disk is full"), new_directory(small_disk / "out") as partial:
        write(partial)
    assert names(small_disk) == []
    with pytest.raises(StorageError, match="the disk is full"), new_directory(small_disk / "out") as partial:
        np.save(partial / "a.npy", np.zeros(100_000))
    assert names(small_disk) == []
    write_atomic(small_disk / "a", b"there is room again")


@needs_full
def test_numpy_names_a_full_disk_too(tmp_path: Path) -> None:
    (tmp_path / "a.npy").symlink_to(FULL)
    with pytest.raises(StorageError, match="the disk is full"), under_test.storage_faults(tmp_path):
        np.save(tmp_path / "a.npy", np.zeros(100_000))


def test_other_refusals_keep_the_words_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, under_test.storage_faults(tmp_path):
        raise PermissionError(13, "Permission denied", str(tmp_path / "a"))
    assert str(caught.value) == f"{tmp_path / 'a'}: Permission denied"


# Reading


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,\n"b"}', ":2: this is no JSON: Expecting ':' delimiter"),
        (b"[1]", ": a JSON object was expected"),
        (b'{"a": "\xff"}', ": is not UTF-8 text"),
        (b"[" * 100_000, ": this JSON is nested too deeply"),
        (None, ": no such file"),
    ],
)
def test_a_fault_in_json_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ShardError) as caught:
        read_json(path, ShardError)
    assert str(caught.value) == f"{path}{message}"


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
    assert list(read_lines(None, io.BytesIO(content))) == [(1, "a"), (2, "b\x0cc\u2028d"), (3, "\ufeff"), (4, " e ")]
    assert list(read_lines(None, io.BytesIO(b""))) == []


def test_a_fault_in_text_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "MAX_LINE_BYTES", 1 << 20)
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
