"""Files of rows and texts through the command line: whole or absent, and gone on with after a kill."""

from __future__ import annotations

import errno
import io
import itertools
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertwright
from bertwright.checkpoints.model_directory import write_model
from bertwright.cli.main import main
from bertwright.errors import RowError
from bertwright.heads.model import PRETRAINING, Parts
from bertwright.inference.kinds import OfTask
from bertwright.recipes.bulk import flow
from bertwright.recipes.bulk import predict as predicting
from bertwright.recipes.bulk.growing import Growing
from bertwright.recipes.bulk.predict import line_of
from bertwright.recipes.bulk.rows import Rows
from bertwright.tasks.tagged_rows import tagged_records
from tests.unit.checkpoints.small import TOKENIZER, small_model

WORDS = ["i", "like", "dog", "playing", "like dog", ""]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bulk")
    (home / "model").mkdir()
    write_model(home / "model", small_model(PRETRAINING), TOKENIZER)
    (home / "classifier").mkdir()
    labels, record = ("no", "yes"), {"task": "classify", "max_windows": 1}
    write_model(home / "classifier", small_model(Parts(labels=2)), TOKENIZER, labels=labels, record=record)
    texts = [WORDS[number % 6] * (1 + number % 3) for number in range(50)]
    (home / "texts.txt").write_text("".join(f"{text}\n" for text in texts))
    (home / "rows.jsonl").write_text("".join(json.dumps({"text": text, "id": 3}) + "\n" for text in texts))
    return home


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (flow, predicting):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 8)


def predict(home: Path, out: Path, *more: str) -> int:
    return main(["predict", str(home / "classifier"), str(home / "rows.jsonl"), "--out", str(out), *more])


def embed(home: Path, out: Path, *more: str) -> int:
    return main(["embed", str(home / "model"), str(home / "texts.txt"), "--out", str(out), *more])


def test_a_file_holds_what_is_printed(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    assert predict(home, out) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1] == f"50 rows -> {out}"
    assert main(["predict", str(home / "classifier"), str(home / "rows.jsonl")]) == 0
    assert capsys.readouterr().out == out.read_text()
    assert len(out.read_text().splitlines()) == 50
    assert list(tmp_path.iterdir()) == [out]

    assert predict(home, out) == 2
    assert capsys.readouterr().err == f"bertwright: {out}: exists; choose another --out, or give --overwrite\n"
    assert predict(home, out, "--overwrite") == 0


def test_vectors_are_those_of_python(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    assert embed(home, out) == 0
    vectors = np.load(out, mmap_mode="r")
    assert (vectors.shape, vectors.dtype) == ((50, 8), np.float32)
    texts = (home / "texts.txt").read_text().splitlines()
    np.testing.assert_allclose(vectors, bertwright.load(home / "model").embed(texts), atol=1e-6)
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("run", [predict, embed])
def test_what_was_stopped_goes_on(
    home: Path, tmp_path: Path, run: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped within the third part, and a line half written: the same bytes as in one go."""
    assert callable(run)
    straight, out = (tmp_path / f"{name}{'.npy' if run is embed else '.jsonl'}" for name in ("straight", "out"))
    assert run(home, straight) == 0
    calls = 0
    whole = OfTask.say

    def stopping(self: OfTask, windows: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return whole(self, windows)

    monkeypatch.setattr(OfTask, "say", stopping)
    assert run(home, out) != 0
    assert not out.exists()
    (folder,) = tmp_path.glob(".out.*")
    with (folder / "content").open("ab") as file:
        file.write(b'{"half')
    capsys.readouterr()
    assert run(home, out) == 0
    assert "going on after 16 rows that an earlier start has written" in capsys.readouterr().err
    assert out.read_bytes() == straight.read_bytes()
    assert calls - 3 == 5, "two parts of seven are not done again"
    assert sorted(tmp_path.iterdir()) == sorted([out, straight])


def test_a_full_disk_keeps_what_is_written(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.npy"
    whole, calls = Growing.add, 0

    def full(self: Growing, content: bytes, *, rows: int = 0, cut: int = 0, source: str = "") -> None:
        nonlocal calls
        calls += 1
        if calls == 3:  # the header, eight texts, and these
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(self, content, rows=rows, cut=cut, source=source)

    with monkeypatch.context() as patch:
        patch.setattr(Growing, "add", full)
        assert embed(home, out) == 1
    told = f"{out}: the disk is full; 8 rows are kept; free some space and give the same command again"
    assert told in capsys.readouterr().err
    assert embed(home, out) == 0
    assert "going on after 8 rows" in capsys.readouterr().err
    assert np.load(out).shape == (50, 8)


def left_behind(out: Path, wish: str, *, rows: int, content: bytes | None) -> Path:
    folder = out.with_name(f".{out.name}.bertwright-partial")
    folder.mkdir()
    (folder / "begun.json").write_text(wish)
    (folder / "state.json").write_text(json.dumps({"rows": rows, "bytes": len(content or b""), "cut": 0}))
    if content is not None:
        (folder / "content").write_bytes(content)
    return folder


def test_what_another_wish_has_written_is_not_lost(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.npy"
    folder = left_behind(out, '{"model": "another"}', rows=10, content=bytes(99))
    assert embed(home, out) == 2
    told = "another command or another model has begun this file, 10 rows of it; give that command again"
    assert told in capsys.readouterr().err
    assert (folder / "content").read_bytes() == bytes(99)
    assert main(["predict", str(home / "classifier"), str(home / "rows.jsonl"), "--null-threshold", "0"]) == 2
    assert embed(home, out, "--overwrite") == 0
    assert np.load(out).shape == (50, 8)


@pytest.mark.parametrize(("rows", "content"), [(0, bytes(128)), (50, None), ("many", b"")])
def test_a_kill_before_the_first_rows_or_after_the_last_leaves_no_trouble(
    home: Path, tmp_path: Path, rows: Any, content: bytes | None
) -> None:
    out = tmp_path / "out.npy"
    left_behind(out, "{}", rows=rows, content=content)
    assert embed(home, out) == 0
    assert np.load(out).shape == (50, 8)


def test_stopped_before_the_first_rows(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out.npy"
    with monkeypatch.context() as patch:
        patch.setattr(OfTask, "say", stop)
        assert embed(home, out) != 0
    assert embed(home, out) == 0
    assert out.stat().st_size == 128 + 50 * 8 * 4


def test_a_file_that_came_to_be_meanwhile_stays(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.npy"
    whole = OfTask.say

    def meanwhile(self: OfTask, windows: Any) -> Any:
        out.write_text("precious")
        return whole(self, windows)

    monkeypatch.setattr(OfTask, "say", meanwhile)
    assert embed(home, out) == 2
    assert out.read_text() == "precious"


def test_standard_input_is_gone_on_with_where_the_same_comes_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted in the second part; then other texts come, fewer, and those that came first."""
    out = tmp_path / "x.npy"
    whole = OfTask.say
    calls = 0

    def stopping(self: OfTask, windows: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return whole(self, windows)

    monkeypatch.setattr(OfTask, "say", stopping)
    first, others = b"i like dog\n" * 12, b"playing\n" * 12
    for texts, code, told in (
        (first, 130, ""),
        (others, 2, "standard input: the first 8 rows are not those that an earlier start has answered"),
        (first[:20], 2, "the first 8 rows are not those"),
        (first, 0, "going on after 8 rows"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(texts)))
        assert main(["embed", str(home / "model"), "--out", str(out)]) == code
        assert told in capsys.readouterr().err
    np.testing.assert_allclose(np.load(out), bertwright.load(home / "model").embed(["i like dog"] * 12), atol=1e-6)


def test_texts_of_a_column_of_any_name(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "x.npy"
    rows.write_text("n,body\n1,i like dog\n2,playing\n")
    command = ["embed", str(home / "model"), str(rows), "--out", str(out)]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert f"{rows}:2: " in told
    assert "name the column with --text-column, or write one text a line in .txt" in told
    assert main([*command, "--text-column", "body"]) == 0
    wanted = bertwright.load(home / "model").embed(["i like dog", "playing"])
    np.testing.assert_allclose(np.load(out), wanted, atol=1e-6)
    command = ["embed", str(home / "model"), str(home / "texts.txt"), "--out", str(tmp_path / "y.npy")]
    assert main([*command, "--text-column", "body"]) == 2
    assert "--text-column is for tables, and here each line is a text; leave it out" in capsys.readouterr().err


def test_a_bad_row_leaves_nothing(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before any was written; else the first are kept, and the file goes on once the row is corrected."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "dog"}\n' * 7 + "no row\n")
    assert main(["predict", str(home / "classifier"), str(rows), "--out", str(tmp_path / "out.jsonl")]) == 2
    assert f"{rows}:8: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [rows]
    rows.write_text('{"text": "dog"}\n' * 20 + "no row\n")
    assert main(["predict", str(home / "classifier"), str(rows), "--out", str(tmp_path / "out.jsonl")]) == 2
    assert "16 rows are written already: the same command goes on after them" in capsys.readouterr().err
    rows.write_text('{"text": "dog"}\n' * 20 + '{"text": "playing"}\n')
    assert main(["predict", str(home / "classifier"), str(rows), "--out", str(tmp_path / "out.jsonl")]) == 0
    assert "going on after 16 rows" in capsys.readouterr().err
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[-1])["text"] == "playing"
    for out, told in ((tmp_path, "is a directory"), (tmp_path / "no/x.jsonl", "its folder does not exist")):
        assert main(["predict", str(home / "classifier"), str(rows), "--out", str(out)]) == 2
        assert told in capsys.readouterr().err


def test_files_in_a_model_directory_that_no_answer_follows_from_are_no_other_model(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(home / "model", model := tmp_path / "model")
    out = model / "vectors.npy"
    command = ["embed", str(model), str(home / "texts.txt"), "--out", str(out)]
    whole, calls = Growing.add, 0

    def stopping(self: Growing, content: bytes, **given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        whole(self, content, **given)

    with monkeypatch.context() as patch:
        patch.setattr(Growing, "add", stopping)
        assert main(command) == 130
    (model / "notes.txt").write_text("mine")
    assert main(command) == 0
    assert "going on after 16 rows" in capsys.readouterr().err


def test_rows_of_columns_are_read_as_they_are_needed(tmp_path: Path) -> None:
    """A fault far behind does not keep the first sentences from being read."""
    (tmp_path / "x.conll").write_text("Paris O\n\n" * 3 + "broken\n")
    read = tagged_records(tmp_path / "x.conll", None)
    assert [values["words"] for _, values in itertools.islice(read, 3)] == [["Paris"]] * 3
    with pytest.raises(RowError, match=r"x\.conll:7: "):
        next(read)


def test_a_number_that_is_none_is_null_and_a_column_of_predictions_is_not_lost(home: Path) -> None:
    assert line_of({"a": [1.0, float("nan")], "b": {"c": float("inf")}, "d": "NaN"}) == (
        '{"a": [1.0, null], "b": {"c": null}, "d": "NaN"}'
    )
    model = bertwright.load(home / "classifier")
    with pytest.raises(RowError, match=r"^row 2: has a column `prediction`, which the answer would take; rename it$"):
        list(model.predict([{"text": "a"}, {"text": "a", "prediction": "gold"}]))


def test_long_rows_are_taken_by_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertwright.recipes.bulk.rows._MOST_CHARACTERS", 100)
    rows = [("1", "a" * 40), ("2", "b" * 70), ("3", "c"), ("4", "d" * 200), ("5", "e")]
    some = list(Rows(rows, "file").handfuls(4))
    assert [[place for place, _ in each.rows] for each in some] == [["1", "2"], ["3", "4"], ["5"]]
    # What was answered is passed over, however it was taken.
    again = Rows(rows, "file")
    assert list(again.pass_over(4, some[1].hash, 3))[-1] == 4
    assert again.handful(9).rows == [("5", "e")]


@pytest.mark.slow
def test_a_kill_in_the_middle_loses_little(home: Path, tmp_path: Path) -> None:
    rows, out, straight = (tmp_path / name for name in ("rows.jsonl", "out.jsonl", "straight.jsonl"))
    rows.write_text('{"text": "i like dog"}\n{"text": "playing"}\n' * 20_000)
    command = [sys.executable, "-m", "bertwright", "predict", str(home / "classifier"), str(rows), "--out"]
    process = subprocess.Popen([*command, str(out)], stderr=subprocess.DEVNULL)
    state = tmp_path / ".out.jsonl.bertwright-partial/state.json"
    while process.poll() is None and not (state.exists() and json.loads(state.read_text())["rows"]):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    done = subprocess.run([*command, str(out)], capture_output=True, text=True, check=True)
    assert "going on after " in done.stderr
    subprocess.run([*command, str(straight)], capture_output=True, check=True)
    assert out.read_bytes() == straight.read_bytes()
