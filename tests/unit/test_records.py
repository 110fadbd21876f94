"""Rows of tables: a broken one costs itself alone, and is told with its place."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertwright.errors import RowError, UserFault
from bertwright.records import read_records


def read(place: Path) -> tuple[list[dict[str, object]], list[str]]:
    """The rows, and what is told of those that are none."""
    told: list[UserFault] = []
    rows = [row for _, row in read_records(place, RowError, told.append)]
    return rows, [str(fault).removeprefix(f"{place.parent}/") for fault in told]


def file(folder: Path, name: str, content: str) -> Path:
    (folder / name).write_text(content, newline="")
    return folder / name


def test_a_carriage_return_inside_a_line_is_white_space(tmp_path: Path) -> None:
    rows, told = read(file(tmp_path, "a.csv", "text,n\r\ngood,1\r\nba\rd,2\r\ngood,3\r\n"))
    assert (rows, told) == ([{"text": t, "n": n} for t, n in [("good", "1"), ("ba d", "2"), ("good", "3")]], [])
    rows, told = read(file(tmp_path, "a.tsv", "text\tn\nba\rd\t2\ngood\t3\n"))
    assert (rows, told) == ([{"text": "ba d", "n": "2"}, {"text": "good", "n": "3"}], [])


def test_carriage_returns_alone_are_told(tmp_path: Path) -> None:
    with pytest.raises(RowError, match=r"a.csv:1: lines end in a carriage return alone; convert the file, as in: tr"):
        read(file(tmp_path, "a.csv", "text,n\rgood,1\rgood,2\r"))


def test_a_cell_that_is_too_long_costs_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertwright.records.MAX_LINE_BYTES", 1 << 20)
    place = file(tmp_path, "a.csv", "text,n\ngood,1\n" + "x" * (1 << 21) + ",2\ngood,3\n")
    rows, told = read(place)
    assert [row["n"] for row in rows] == ["1", "3"]
    assert told == ["a.csv:3: a cell is longer than 1 MB; is a quotation mark not closed?"]


def test_a_quotation_mark_that_is_not_closed_is_told_where_it_began(tmp_path: Path) -> None:
    # The last column, so that all the rest would have been one good cell.
    rows, told = read(file(tmp_path, "a.csv", 'n,text\n1,good\n2,"ba\n3,good\n4,good\n'))
    assert rows == [{"n": "1", "text": "good"}]
    assert told == ["a.csv:3: a quotation mark is not closed, and the rest of the file would be in it"]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_cell_of_several_lines_is_whole(tmp_path: Path, ending: str) -> None:
    rows, told = read(file(tmp_path, "a.csv", 'n,text\n1,"one\ntwo"\n2,"three\n\nfour"' + ending))
    assert ([row["text"] for row in rows], told) == (["one\ntwo", "three\n\nfour"], [])


def test_values_that_python_has_not_cost_their_rows(tmp_path: Path) -> None:
    raw = pa.array([b"good", b"ba\xffd", b"good", b"good"], pa.binary())
    text = pa.StringArray.from_buffers(4, raw.buffers()[1], raw.buffers()[2])
    second = 1_000_000_000
    when = pa.array([0, 0, 1, second], pa.timestamp("ns"))
    pq.write_table(pa.table({"text": text, "when": when}), tmp_path / "a.parquet")
    rows, told = read(tmp_path / "a.parquet")
    at = dt.datetime(1970, 1, 1)  # noqa: DTZ001  # as the file has it
    assert rows == [{"text": "good", "when": at}, {"text": "good", "when": at + dt.timedelta(seconds=1)}]
    assert [line.partition(": a value cannot be read: ")[0] for line in told] == ["a.parquet:row 2", "a.parquet:row 3"]
