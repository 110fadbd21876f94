"""Rows of a table: JSONL, CSV, TSV or Parquet, local or remote, each row with its place for messages.

Compressed forms (.gz, .zst, .xz) of the first three are read as they lie.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from bertwright.errors import UserFault
from bertwright.lines import (
    MAX_LINE_BYTES,
    STANDARD_INPUT,
    faults_of,
    lines_of,
    one_line,
    open_bytes,
    parse_json_line,
    refuse,
    told,
)

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
    and left out where that returns. `opened` is given the file as it lies; not of Parquet, which is not read from its
    beginning to its end.
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
    ended = False
    header: list[str] | None = None

    def counted() -> Iterator[str]:
        nonlocal number, ended
        for number, line in lines:  # the number is read outside, where a row ends
            if header is None and "\r" in line:
                cure = "convert the file, as in: tr '\\r' '\\n'"
                raise fault("lines end in a carriage return alone", where=f"{place}:{number}", cure=cure)
            # Inside a line it is white space; to the csv module it would be a broken row.
            yield line.replace("\r", " ") + "\n"
        ended = True

    # As long as a line may be: a quotation mark that is never closed takes no more of the file than that.
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.reader(counted(), dialect)
    while True:
        begun = number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The reader goes on with the next line; without a header there is nothing to go on with.
            found = fault(_wrong(error), where=f"{place}:{number}")
            if header is None:
                raise found from None
            bad(found)
            continue
        where = f"{place}:{number}"
        if ended:
            # A row ends with its line, and none was left to end it.
            what = "a quotation mark is not closed, and the rest of the file would be in it"
            bad(fault(what, where=f"{place}:{begun}"))
        elif header is None:
            header = cells
            if len(set(header)) < len(header):
                raise fault("a column name stands twice in the header", where=f"{place}:1")
        elif len(cells) == len(header):
            yield where, dict(zip(header, cells, strict=True))
        elif cells:
            bad(fault(f"this row has {len(cells)} columns, the header {len(header)}", where=where))


def _rows_of(batch: Any) -> Iterator[dict[str, Any] | Exception]:
    """The rows of a batch of Arrow's; in the place of one with text that is no UTF-8, or a time past Python's, why."""
    unreadable = (ValueError, OverflowError)
    try:
        yield from batch.to_pylist()
    except unreadable:
        # All were made before the first was given. One by one is twenty times as slow.
        for at in range(len(batch)):
            try:
                row = batch.slice(at, 1).to_pylist()[0]
            except unreadable as error:
                row = error
            yield row


def _wrong(error: csv.Error) -> str:
    if "field larger than" in str(error):
        return f"a cell is longer than {MAX_LINE_BYTES >> 20} MB; is a quotation mark not closed?"
    return str(error)


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
                for row in _rows_of(batch):
                    number += 1
                    where = f"{place}:row {number}"
                    if isinstance(row, Exception):
                        bad(fault(f"a value cannot be read: {one_line(row)}", where=where))
                    else:
                        yield where, row
        except pa.ArrowException as error:
            bad(fault(f"cannot be read as Parquet: {one_line(error)}", where=place))
