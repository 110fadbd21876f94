"""Documents: what a corpus is made of, whatever it lies in.

A corpus is a list of paths: `.txt`, `.jsonl` (field `text`), each plain or `.gz`/`.zst`/`.xz`, folders of these, globs,
or `-` for standard input.

In .txt a blank line stands between documents. Inside a document there is either one sentence a line (the layout of the
original BERT code) or prose, perhaps broken over lines; which of the two is seen from the text.
"""

from __future__ import annotations

import glob
import itertools
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bertwright.errors import CorpusError
from bertwright.files import lines_of, parse_json_line, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_COMPRESSION = {".gz", ".zst", ".xz"}
_KINDS = {".txt", ".jsonl"}
_PROBE_LINES = 1000
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
    layouts: dict[str, str] = field(default_factory=dict)


def corpus_files(sources: Sequence[str]) -> list[Path | None]:
    """The files of a corpus in a fixed order; None stands for standard input. Raises CorpusError."""
    files: list[Path | None] = []
    for source in sources:
        if source == "-":
            files.append(None)
            continue
        path = Path(source)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.is_file() and _kind(p) in _KINDS)
            if not found:
                raise CorpusError("this folder holds no .txt or .jsonl file", where=path)
            files.extend(found)
        elif path.exists():
            files.append(path)
        elif glob.has_magic(source):
            matches = sorted(Path(match) for match in glob.glob(source, recursive=True) if Path(match).is_file())
            if not matches:
                raise CorpusError("no file matches", where=source)
            files.extend(matches)
        else:
            raise CorpusError("no such file or folder", where=source)
    if not files:
        raise CorpusError("no corpus was given", cure="name files or folders, or - for standard input")
    return files


def read_documents(sources: Sequence[str], report: ReadReport | None = None) -> Iterator[Document]:
    """All documents of a corpus, in the order of its files. Raises CorpusError with file:line."""
    report = report if report is not None else ReadReport()
    for path in corpus_files(sources):
        report.files += 1
        kind = ".txt" if path is None else _kind(path)
        lines = read_lines(None, sys.stdin.buffer) if path is None else lines_of(path)
        where = "standard input" if path is None else str(path)
        if kind == ".jsonl":
            yield from _read_jsonl(lines, where, report)
        elif kind == ".txt":
            yield from _read_text(lines, where, report)
        else:
            cure = "give .txt or .jsonl, plain or .gz/.zst/.xz"
            raise CorpusError(f"do not know how to read `{kind or 'a file without an ending'}`", where=where, cure=cure)


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSION:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _read_jsonl(lines: Iterable[tuple[int, str]], where: str, report: ReadReport) -> Iterator[Document]:
    for number, line in lines:
        if not line.strip():
            continue
        place = f"{where}:{number}"
        row = parse_json_line(line, place, CorpusError)
        text = row.get("text") if isinstance(row, dict) else None
        if not isinstance(text, str):
            raise CorpusError("no string field `text`", where=place, cure='expected {"text": "..."}')
        # A lone surrogate is legal in JSON and in no text; the original code would fail on it later and elsewhere.
        text = text.encode("utf-8", "replace").decode()
        paragraphs = tuple(" ".join(part.split("\n")) for part in re.split(r"\n\s*\n", text) if part.strip())
        if paragraphs:
            yield Document(paragraphs, place)
        else:
            report.empty_documents += 1


def _read_text(lines: Iterator[tuple[int, str]], where: str, report: ReadReport) -> Iterator[Document]:
    probe = list(itertools.islice(lines, _PROBE_LINES))
    layout = layout_of([line for _, line in probe])
    report.layouts[where] = layout
    block: list[str] = []
    first = 1
    for number, line in itertools.chain(probe, lines):
        if line.strip():
            if not block:
                first = number
            block.append(line.strip())
        elif block:
            yield _text_document(block, layout, f"{where}:{first}")
            block = []
    if block:
        yield _text_document(block, layout, f"{where}:{first}")


def layout_of(lines: Sequence[str]) -> str:
    """`sentences` where most lines end as sentences do, else `prose`."""
    written = [line for line in lines if line.strip()]
    ends = sum(1 for line in written if _SENTENCE_END.search(line))
    return "sentences" if ends >= 0.6 * len(written) else "prose"


def _text_document(block: list[str], layout: str, where: str) -> Document:
    # A line of the sentence layout is a paragraph of its own: a sentence never runs over its end.
    return Document(tuple(block) if layout == "sentences" else (" ".join(block),), where)
