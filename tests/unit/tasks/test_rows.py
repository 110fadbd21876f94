from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertwright.errors import RowError, SettingsError
from bertwright.tasks.rows import FIELDS, LABEL_COLUMN, PAIR, SINGLE, Kind, Row, columns_of, first_row, read_rows


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def fault(path: Path, column: str, kind: Kind) -> str:
    with pytest.raises(RowError) as caught:
        read_rows(path, SINGLE, column, kind)
    return str(caught.value)


def test_a_class_is_read_as_ever(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {"text": "a", "label": 3}, {"text": "b\ud800", "label": "x"})
    assert read_rows(path, SINGLE, "label") == [Row(("a",), "3", f"{path}:1"), Row(("b?",), "x", f"{path}:2")]
    assert read_rows(path, SINGLE, None, "score")[0] == Row(("a",), None, f"{path}:1", labels=None, score=None)


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (["a", "b"], ("a", "b")),
        (["b", "a", "b"], ("b", "a")),
        ([], ()),
        ([1, "1", 2.5], ("1", "2.5")),
        ("", ()),
        (" ", ()),
        ("a", ("a",)),
        ("a;b", ("a", "b")),
        ("a, b", ("a", "b")),
        ("a, b; c", ("a, b", "c")),
        ('["a", "b;c"]', ("a", "b;c")),
        ("[]", ()),
        (["[x]"], ("[x]",)),
    ],
)
def test_labels_of_a_row(tmp_path: Path, value: object, labels: tuple[str, ...]) -> None:
    path = written(tmp_path / "a.jsonl", {"text": "a", "labels": value})
    assert read_rows(path, SINGLE, "labels", "labels") == [Row(("a",), None, f"{path}:1", labels=labels)]


def test_labels_in_cells_and_in_parquet(tmp_path: Path) -> None:
    cells = tmp_path / "a.csv"
    cells.write_text('text,labels\none,a;b\ntwo,\nthree,"[""a, b""]"\n')
    assert [row.labels for row in read_rows(cells, SINGLE, "labels", "labels")] == [("a", "b"), (), ("a, b",)]
    pq.write_table(pa.table({"text": ["one", "two"], "labels": [["a"], []]}), tmp_path / "a.parquet")
    assert [row.labels for row in read_rows(tmp_path / "a.parquet", SINGLE, "labels", "labels")] == [("a",), ()]


@pytest.mark.parametrize("value", [None, "", " ", float("nan"), float("inf"), ["a"], {}])
def test_what_is_no_label(tmp_path: Path, value: object) -> None:
    path = written(tmp_path / "a.jsonl", {"text": "a", "label": "x"}, {"text": "a", "label": value})
    assert fault(path, "label", "class") == f"{path}:2: `label` is {value!r}, not a label; label the row, or remove it"


def test_a_label_is_text_that_can_be_written(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", *({"text": "a", "label": label} for label in ("\ud800", 3, True)))
    assert [row.label for row in read_rows(path, SINGLE, "label")] == ["?", "3", "True"]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "`labels` is None, not a list of labels; write a list, and an empty one where no label holds"),
        (3, "`labels` is 3, not a list of labels; write a list, and an empty one where no label holds"),
        (["a", None], "`labels` holds None, not a label"),
        ([True], "`labels` holds True, not a label"),
        ([["a"]], "`labels` holds ['a'], not a label"),
        ([float("nan")], "`labels` holds nan, not a label"),
        (["a", " "], "`labels` holds ' ', not a label"),
        ("a;;b", "`labels` holds '', not a label"),
        ("[" + "9" * 5000 + "]", "`labels` begins as a list and is no JSON: '[99"),
        ("[a]", '`labels` begins as a list and is no JSON: \'[a]\'; write ["a", "b"], or a;b, or a,b'),
    ],
)
def test_what_is_no_list_of_labels(tmp_path: Path, value: object, what: str) -> None:
    path = written(tmp_path / "a.jsonl", {"text": "a", "labels": ["x"]}, {"text": "a", "labels": value})
    assert fault(path, "labels", "labels").startswith(f"{path}:2: {what}")


@pytest.mark.parametrize(
    ("value", "score"), [(3, 3.0), (-0.5, -0.5), ("4.20", 4.2), (" +1e-3 ", 0.001), ("5.", 5.0), (".5", 0.5)]
)
def test_scores(tmp_path: Path, value: object, score: float) -> None:
    path = written(tmp_path / "a.jsonl", {"text": "a", "score": value})
    assert read_rows(path, SINGLE, "score", "score") == [Row(("a",), None, f"{path}:1", score=score)]


@pytest.mark.parametrize(
    "value",
    [True, None, "", "high", "1_000", "nan", "inf", "1e999", "٣", [1], float("nan"), float("inf"), 10**400],
)
def test_what_is_no_score(tmp_path: Path, value: object) -> None:
    path = written(tmp_path / "a.jsonl", {"text": "a", "score": 1}, {"text": "a", "score": value})
    cure = "write a number such as 3.5, or remove the row"
    assert fault(path, "score", "score") == f"{path}:2: `score` is {value!r}, not a finite number; {cure}"


@pytest.mark.parametrize(("column", "kind"), [("labels", "labels"), ("score", "score")])
def test_a_column_that_is_missing(tmp_path: Path, column: str, kind: Kind) -> None:
    path = written(tmp_path / "a.jsonl", {"text": "a", "label": "x"})
    what = f"there is no column `{column}`; the columns are `text`, `label`"
    what += "; label every row, or name the column with --label-column"
    assert fault(path, column, kind) == f"{path}:1: {what}"


def test_columns_of_a_task() -> None:
    assert FIELDS.keys() == LABEL_COLUMN.keys()
    assert [columns_of(task) for task in ("classify", "multilabel")] == [SINGLE, SINGLE]
    assert [columns_of(task) for task in ("pair", "regress", "embed")] == [PAIR, PAIR, PAIR]
    # A score may belong to one text: that is told by the row, by the model, or by who names the columns.
    assert columns_of("regress", row={"text": "", "score": 1}) == SINGLE
    assert columns_of("regress", row={"text": "", "text_a": "", "text_b": ""}) == PAIR
    assert columns_of("regress", row={"essay": ""}) == PAIR
    assert columns_of("regress", model={"texts": ["essay"]}, row={"text_a": "", "text_b": ""}) == ("essay",)
    assert columns_of("regress", ["a", "b"], model={"texts": ["essay"]}) == ("a", "b")
    assert columns_of("embed", row={"text": ""}) == PAIR


@pytest.mark.parametrize(
    ("task", "named", "counts"),
    [("classify", ["a", "b"], "1"), ("embed", ["a"], "2"), ("regress", ["a", "b", "c"], "1 or 2")],
)
def test_too_few_or_too_many_columns(task: str, named: list[str], counts: str) -> None:
    with pytest.raises(SettingsError) as caught:
        columns_of(task, named)
    assert str(caught.value) == (
        f"`{task}` reads {counts} column(s), but {len(named)} are named: {', '.join(named)}; "
        "give --text-column once for each"
    )


def test_the_first_row_tells_the_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {"text": "a", "score": 1})
    with path.open("a") as file:
        file.write("no JSON\n")  # what follows is not read
    assert first_row(path) == {"text": "a", "score": 1}
    (tmp_path / "b.jsonl").write_text("\n")
    assert first_row(tmp_path / "b.jsonl") == {}
