"""Rows of a table: JSONL, CSV, TSV or Parquet, local or remote, each row with its place for messages.

Compressed forms (.gz, .zst, .xz) of the first three are read as they lie.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from bertwright.errors import UserFault
from bertwright.lines import STANDARD_INPUT, faults_of, lines_of, open_bytes, parse_json_line, refuse, told

COMPRESSION = (".gz", ".zst", ".xz")
TABLES = (".jsonl", ".csv", ".tsv", ".parquet")
_ROWS_AT_ONCE = 1024

Record = tuple[str, dict[str, Any]]
Handler = Callable[[UserFault], None]
Lines = Iterator[tuple[int, str]]


def kind_of(place: str | Path) -> str:
    """The ending that tells how a file is read, in lower case and without that of its compression."""
    suffixes = [suffix.lower() for suffix in Path(str(place)).suffixes]
    if suffixes and suffixes[-1] in COMPRESSION:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def read_records(
    place: str | Path,
    fault: type[UserFault],
    bad: Handler = refuse,
    *,
    columns: Sequence[str] | None = None,
    opened: Callable[[IO[bytes]], None] | None = None,
) -> Generator[Record]:
    """The rows of a table as (file:line, columns); standard input is read as JSONL.

    `columns` may keep a Parquet file's other columns from being read. What is no row is given to `bad` as a `fault`,
    and left out where that returns. `opened` is given the file as it lies.
    """
    kind = ".jsonl" if str(place) == STANDARD_INPUT else kind_of(place)
    if kind == ".parquet":
        yield from _parquet(str(place), fault, bad, columns)
        return
    if kind not in TABLES:
        raise unknown_kind(place, "rows", fault, f"give {', '.join(TABLES[:-1])} or {TABLES[-1]}")
    # Closed here and not by the collector: who stops half way leaves no file open.
    with closing(lines_of(place, fault, bad, opened)) as lines:
        if kind == ".jsonl":
            yield from _jsonl(lines, place, fault, bad)
        else:
            yield from _table(lines, place, csv.excel if kind == ".csv" else _Tsv, fault, bad)


def unknown_kind(place: str | Path, what: str, fault: type[UserFault], cure: str) -> UserFault:
    """The fault of a place whose ending says nothing of how `what` can be read from it."""
    if Path(str(place)).is_dir():
        return fault("is a directory, not a file", where=place, cure="name a file in it")
    ending = kind_of(place) or "a file without an ending"
    return fault(f"do not know how to read {what} from `{ending}`", where=place, cure=cure)


def _jsonl(lines: Lines, place: str | Path, fault: type[UserFault], bad: Handler) -> Iterator[Record]:
    for number, line in lines:
        if not line.strip():
            continue
        where = f"{told(place)}:{number}"
        try:
            values = parse_json_line(line, where, fault)
        except fault as error:
            bad(error)
            continue
        if isinstance(values, dict):
            yield where, values
        else:
            bad(fault("this line is no JSON object", where=where))


class _Tsv(csv.Dialect):
    """Tab-separated without quoting: a quotation mark is part of the text, as in every public task in this form."""

    delimiter = "\t"
    quoting = csv.QUOTE_NONE
    lineterminator = "\n"


def _table(
    lines: Lines, place: str | Path, dialect: type[csv.Dialect], fault: type[UserFault], bad: Handler
) -> Generator[Record]:
    number = 0

    def counted() -> Iterator[str]:
        nonlocal number
        for number, line in lines:  # noqa: B007  # the number is read outside, where a row ends
            yield line + "\n"

    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(counted(), dialect)
    try:
        header = next(reader, None)
        if header is None:
            return
        if len(set(header)) < len(header):
            raise fault("a column name stands twice in the header", where=f"{place}:1")
        for cells in reader:
            if not cells:
                continue
            where = f"{place}:{number}"
            if len(cells) == len(header):
                yield where, dict(zip(header, cells, strict=True))
            else:
                bad(fault(f"this row has {len(cells)} columns, the header {len(header)}", where=where))
    except csv.Error as error:
        bad(fault(f"{error}", where=f"{place}:{number}"))


def _parquet(place: str, fault: type[UserFault], bad: Handler, columns: Sequence[str] | None) -> Iterator[Record]:
    import pyarrow as pa  # noqa: PLC0415  # a fifth of a second that only this format is worth
    import pyarrow.parquet as pq  # noqa: PLC0415

    number = 0
    with faults_of(place, fault, bad), open_bytes(place) as file:
        try:
            table = pq.ParquetFile(file)
            known = table.schema_arrow.names
            wanted = None if columns is None else [name for name in columns if name in known]
            for batch in table.iter_batches(_ROWS_AT_ONCE, columns=wanted or None):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{place}:row {number}", row
        except pa.ArrowException as error:
            bad(fault(f"cannot be read as Parquet: {str(error).splitlines()[0]}", where=place))
