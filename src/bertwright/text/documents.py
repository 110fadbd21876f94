"""Documents: what a corpus is made of, whatever it lies in.

A corpus is a list of places: .txt, .jsonl, .csv, .tsv or .parquet files, plain or .gz/.zst/.xz, folders of these,
globs, `-` for standard input, or addresses that fsspec knows, as s3://bucket/folder or hf://datasets/owner/name/*.parquet.

In .txt a blank line stands between documents. Inside a document there is either one sentence a line (the layout of the
original BERT code) or prose, perhaps broken over lines; which of the two is seen from the text. In a table, each row is
a document, and its text a column.
"""

from __future__ import annotations

import contextlib
import glob
import io
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any, Literal

import fsspec

from bertwright.errors import CorpusError, StorageError, UserFault
from bertwright.lines import STANDARD_INPUT, address_faults, is_remote, lines_of, one_line, refuse, told
from bertwright.records import TABLES, kind_of, read_records
from bertwright.text.characters import most

OnError = Literal["stop", "skip"]
KINDS = (".txt", *TABLES)
# Characters after which a document without a blank line is broken, so that no file can fill the memory.
LONGEST_DOCUMENT = 16 << 20
_PROBE_LINES = 1000
_TOLD_FAULTS = 5
_TOLD_KINDS = 5
# What stands in the folder of a vocabulary or a model, and is not meant where the folder around it is a corpus.
_VOCABULARY, _BESIDE_IT = "vocab.txt", "tokenizer_config.json"
_NOTHING = io.BytesIO()
_SENTENCE_END = re.compile(r"[.!?…。！？；:\"'”’»)\]]\s*$")


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its paragraphs in order, and where it was found (file:line)."""

    paragraphs: tuple[str, ...]
    where: str


@dataclass
class ReadReport:
    """What a reader saw, to be told at the end (law 4)."""

    files: int = 0
    empty_documents: int = 0
    broken_documents: int = 0
    # Lines and rows that are no documents, with `on_error="skip"`; the first few of them as messages.
    skipped: int = 0
    first_skipped: list[str] = field(default_factory=list)
    layouts: dict[str, str] = field(default_factory=dict)
    # Files of folders that are not read, by what is not read of them: an ending, or what else.
    passed_over: Counter[str] = field(default_factory=Counter)
    # Bytes of all files as they lie (None where one does not tell), and of those that were read to their end.
    total_bytes: int | None = field(default=None, compare=False)
    finished_bytes: int = field(default=0, compare=False)
    _file: IO[bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def read_bytes(self) -> int:
        """Bytes read so far, of the files as they lie."""
        at = 0
        if self._file is not None:
            with contextlib.suppress(OSError, ValueError):
                at = self._file.tell()
        return self.finished_bytes + at

    def progress(self, seconds: float) -> str:
        """How far the reading is after so many seconds, as in `12.0 of 48.0 MB read, 0:36 left`."""
        if not self.total_bytes or not self.read_bytes:
            return f"{self.read_bytes / 1e6:,.1f} MB read"
        left = round(seconds * (self.total_bytes / self.read_bytes - 1))
        return (
            f"{self.read_bytes / 1e6:,.1f} of {self.total_bytes / 1e6:,.1f} MB read, {left // 60}:{left % 60:02d} left"
        )

    def passed_over_told(self) -> str:
        """What lies in folders and is not read, as in `passed over in folders: 12 .md, 1 .pdf`; empty where nothing."""
        if not self.passed_over:
            return ""
        kinds = [f"{count:,} {kind}" for kind, count in most(self.passed_over, _TOLD_KINDS)]
        more = self.passed_over.total() - sum(count for _, count in most(self.passed_over, _TOLD_KINDS))
        return f"passed over in folders: {', '.join(kinds)}{f', {more} of other kinds' if more > 0 else ''}"

    def watch(self, file: IO[bytes]) -> None:
        """Take note of the file that is being read."""
        self._file = file

    def skip(self, fault: UserFault) -> None:
        """Count a fault instead of raising it."""
        self.skipped += 1
        if len(self.first_skipped) < _TOLD_FAULTS:
            self.first_skipped.append(str(fault))


def corpus_files(sources: Sequence[str], passed_over: Counter[str] | None = None) -> list[str]:
    """The files of a corpus in a fixed order, `-` for standard input; what folders hold beside is counted.

    Raises CorpusError.
    """
    counted: Counter[str] = Counter() if passed_over is None else passed_over
    files = [file for source in sources for file in _files_of(source, counted)]
    if not files:
        raise CorpusError("no corpus was given", cure="name files or folders, or - for standard input")
    return files


def _files_of(source: str, passed_over: Counter[str]) -> list[str]:
    if source == STANDARD_INPUT:
        return [source]
    if is_remote(source):
        return _remote_files(source, passed_over)
    path = Path(source)
    if path.is_dir():
        every = {str(p): p for p in path.rglob("*") if p.is_file()}
        why = {p: _why_not(p.relative_to(path), every, name) for name, p in every.items()}
        passed_over.update(filter(None, why.values()))
        found = sorted(p for p, reason in why.items() if not reason)
        if not found:
            raise CorpusError(f"this folder holds no file of {', '.join(KINDS)}", where=path)
        return list(map(str, found))
    if path.exists():
        return [source]
    if glob.has_magic(source):
        matches = sorted(match for match in glob.glob(source, recursive=True) if Path(match).is_file())
        if not matches:
            raise CorpusError("no file matches", where=source)
        return matches
    raise CorpusError("no such file or folder", where=source)


def _why_not(inside: PurePath, every: Collection[str], name: str) -> str:
    """Why a file of a folder is no part of a corpus; empty where it is one.

    inside: its path from the folder on. every: the names of all files there. name: its own.
    """
    if any(part.startswith(".") for part in inside.parts):
        return "hidden"
    if inside.name == _VOCABULARY and name.removesuffix(_VOCABULARY) + _BESIDE_IT in every:
        return "of a tokenizer"
    return "" if kind_of(name) in KINDS else kind_of(name) or "without an ending"


def _remote_files(source: str, passed_over: Counter[str]) -> list[str]:
    with address_faults(source):
        system, path = fsspec.core.url_to_fs(source)
    try:
        if glob.has_magic(path):
            found = [match for match in system.glob(path) if system.isfile(match)]
        elif system.isdir(path):
            every = set(system.find(path))
            why = {name: _why_not(PurePosixPath(name[len(path) :]), every, name) for name in every}
            passed_over.update(filter(None, why.values()))
            found = [name for name, reason in why.items() if not reason]
        else:
            found = [path] if system.exists(path) else []
    except FileNotFoundError:
        found = []
    except PermissionError as error:
        raise CorpusError(f"cannot be listed: {one_line(error)}", where=source) from None
    except Exception as error:  # noqa: BLE001  # each store's client has errors of its own
        raise StorageError(f"{source}: cannot be listed: {type(error).__name__}: {one_line(error)}") from None
    if not found:
        raise CorpusError("no such file, and no folder with files to read", where=source)
    return sorted(system.unstrip_protocol(name) for name in found)


def read_documents(
    sources: Sequence[str],
    report: ReadReport | None = None,
    *,
    text_column: str = "text",
    on_error: OnError = "stop",
    line_break: str = " ",
) -> Iterator[Document]:
    """All documents of a corpus, in the order of its files.

    A line or row that is no document raises CorpusError with file:line; with `on_error="skip"` it is counted in the
    report. `line_break` joins the lines of a paragraph.
    """
    report = report if report is not None else ReadReport()
    bad = report.skip if on_error == "skip" else refuse
    places = corpus_files(sources, report.passed_over)
    sizes = [_size_of(place) for place in places]
    report.total_bytes = None if None in sizes else sum(size or 0 for size in sizes)
    for place, size in zip(places, sizes, strict=True):
        report.files += 1
        kind = ".txt" if place == STANDARD_INPUT else kind_of(place)
        if kind == ".txt":
            with contextlib.closing(lines_of(place, CorpusError, bad, report.watch)) as lines:
                yield from _read_text(lines, told(place), report, line_break)
        elif kind in TABLES:
            rows = read_records(place, CorpusError, bad, columns=[text_column], opened=report.watch)
            with contextlib.closing(rows):
                for where, row in rows:
                    text = row.get(text_column)
                    if isinstance(text, str):
                        yield from _row_document(text, where, report, line_break)
                    else:
                        bad(_no_text(text_column, row, where))
        else:
            cure = f"give {', '.join(KINDS)}, plain or .gz/.zst/.xz"
            what = f"do not know how to read `{kind or 'a file without an ending'}`"
            raise CorpusError(what, where=place, cure=cure)
        report.finished_bytes += size or 0
        report.watch(_NOTHING)


def _no_text(column: str, row: dict[str, Any], where: str) -> CorpusError:
    columns = ", ".join(f"`{name}`" for name in list(row)[:10]) or "none"
    what = f"no text in the column `{column}`; the columns are {columns}"
    return CorpusError(what, where=where, cure="name the column with --text-column")


def handfuls(documents: Iterable[Document], characters: int) -> Iterator[list[tuple[str, ...]]]:
    """The paragraphs of documents, some `characters` together: what one worker is given at once."""
    handful: list[tuple[str, ...]] = []
    size = 0
    for document in documents:
        handful.append(document.paragraphs)
        size += sum(map(len, document.paragraphs))
        if size >= characters:
            yield handful
            handful, size = [], 0
    if handful:
        yield handful


def _size_of(place: str) -> int | None:
    if place == STANDARD_INPUT:
        return None
    try:
        return int(fsspec.core.url_to_fs(place)[0].size(place)) if is_remote(place) else Path(place).stat().st_size
    except Exception:  # noqa: BLE001  # each store's client has errors of its own; the reading will tell
        return None


def _row_document(text: str, where: str, report: ReadReport, line_break: str) -> Iterator[Document]:
    # A lone surrogate is legal in JSON and in no text; the original code would fail on it later and elsewhere.
    text = text.encode("utf-8", "replace").decode()
    paragraphs = tuple(line_break.join(part.split("\n")) for part in re.split(r"\n\s*\n", text) if part.strip())
    if paragraphs:
        yield Document(paragraphs, where)
    else:
        report.empty_documents += 1


def _read_text(lines: Iterator[tuple[int, str]], where: str, report: ReadReport, line_break: str) -> Iterator[Document]:
    probe = list(itertools.islice(lines, _PROBE_LINES))
    layout = layout_of([line for _, line in probe])
    report.layouts[where] = layout
    block: list[str] = []
    first = size = 0
    for number, line in itertools.chain(probe, lines):
        if line.strip() and size < LONGEST_DOCUMENT:
            if not block:
                first = number
            block.append(line.strip())
            size += len(line)
            continue
        if block:
            yield _text_document(block, layout, f"{where}:{first}", line_break)
            block, size = [], 0
        if line.strip():
            report.broken_documents += 1
            block, first, size = [line.strip()], number, len(line)
    if block:
        yield _text_document(block, layout, f"{where}:{first}", line_break)


def layout_of(lines: Iterable[str]) -> str:
    """`sentences` where most lines end as sentences do, else `prose`."""
    written = [line for line in lines if line.strip()]
    ends = sum(1 for line in written if _SENTENCE_END.search(line))
    return "sentences" if ends >= 0.6 * len(written) else "prose"


def _text_document(block: list[str], layout: str, where: str, line_break: str) -> Document:
    # A line of the sentence layout is a paragraph of its own: a sentence never runs over its end.
    return Document(tuple(block) if layout == "sentences" else (line_break.join(block),), where)
