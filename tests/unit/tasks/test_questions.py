from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from bertwright.errors import RowError
from bertwright.tasks.questions import Answer, Question, Questions, question_records, questions_of, read_questions

CONTEXT = "Ann saw Bo. Bo ran, and Ann sat by the long, long river until Bo came."


def squad(path: Path, *questions: Any, context: Any = CONTEXT) -> Path:
    content = json.dumps({"data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(questions)}]}]})
    path.write_text(content)
    return path


def asked(*answers: tuple[str, int | None], name: Any = "q", **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "question": "Who?",
        "answers": [{"text": text, "answer_start": start} for text, start in answers],
        **more,
    }


def fault(path: Path, **options: Any) -> str:
    with pytest.raises(RowError) as caught:
        read_questions(path, **options)
    return str(caught.value)


def test_squad(tmp_path: Path) -> None:
    path = squad(
        tmp_path / "a.json",
        asked(("Ann", 0), ("Ann", 0), (" Bo", 7), name=7),
        asked(name="b", is_impossible=True, plausible_answers=[{"text": "Bo", "answer_start": 8}]),
        asked(("Bo", 12), name="c", is_impossible=False),
    )
    where = f"{path}: data[0].paragraphs[0].qas"
    found = read_questions(path)
    assert found == Questions(
        rows=[
            Question("7", "Who?", CONTEXT, (Answer("Ann", 0), Answer("Ann", 0), Answer(" Bo", 7)), f"{where}[0]"),
            Question("b", "Who?", CONTEXT, (), f"{where}[1]"),
            Question("c", "Who?", CONTEXT, (Answer("Bo", 12),), f"{where}[2]"),
        ]
    )
    assert [row.impossible for row in found.rows] == [False, True, False]
    # One text for all questions on it: a book may have thousands.
    assert found.rows[0].context is found.rows[2].context


@pytest.mark.parametrize(
    ("name", "compress"),
    [("a.json.gz", gzip.compress), ("a.json.xz", lzma.compress), ("a.json.zst", zstandard.compress)],
)
def test_compressed(tmp_path: Path, name: str, compress: Any) -> None:
    plain = squad(tmp_path / "a.json", asked(("Ann", 0)))
    (tmp_path / name).write_bytes(compress(b"\xef\xbb\xbf" + plain.read_bytes()))
    assert len(read_questions(tmp_path / name).rows) == 1


@pytest.mark.parametrize(
    "answers", [{"text": ["Ann", "Bo"], "answer_start": [0, 8]}, [("Ann", 0), ("Bo", 8)]], ids=["columns", "objects"]
)
def test_rows(tmp_path: Path, answers: Any) -> None:
    if isinstance(answers, list):
        answers = [{"text": text, "answer_start": start} for text, start in answers]
    none: Any = {"text": [], "answer_start": []} if isinstance(answers, dict) else []
    rows = [
        {"id": "x", "question": "Who?", "context": CONTEXT, "answers": answers},
        {"id": "y", "question": "When?", "context": CONTEXT, "answers": none},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_questions(path).rows == [
        Question("x", "Who?", CONTEXT, (Answer("Ann", 0), Answer("Bo", 8)), f"{path}:1"),
        Question("y", "When?", CONTEXT, (), f"{path}:2"),
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    table = read_questions(tmp_path / "a.parquet").rows
    assert [(row.id, len(row.answers), row.where[-5:]) for row in table] == [("x", 2, "row 1"), ("y", 0, "row 2")]


def test_questions_to_be_answered_need_no_answers_and_no_ids(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = {"question": "Who?", "context": "Ann\ud800"}
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"answers": "odd"}) + "\n")
    assert questions_of(question_records(path)) == [
        Question("", "Who?", "Ann?", (), f"{path}:1"),
        Question("", "Who?", "Ann?", (), f"{path}:2"),
    ]
    squad_path = squad(tmp_path / "a.json", {"id": "q", "question": "Who?"})
    assert [row.id for row in questions_of(question_records(squad_path))] == ["q"]


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        (("river", 50), 50),
        (("river", 0), 50),  # it stands there once
        (("river", -1), 50),
        (("river", None), 50),
        (("river", 9999), 50),
        (("Bo", 9), 8),  # nearer than the one at 12
        (("Bo", 11), 12),
        (("Bo", 60), 62),
        (("Bo", 32), 12),  # the other is 30 characters away
        (("long", 41), 39),
        (("o", 6), 9),  # parts of words count too
    ],
)
def test_an_answer_is_moved_where_its_place_is_beyond_doubt(
    tmp_path: Path, answer: tuple[str, int | None], place: int
) -> None:
    found = read_questions(squad(tmp_path / "a.json", asked(answer)))
    assert found.rows[0].answers == (Answer(answer[0], place),)
    assert CONTEXT.startswith(answer[0], place)
    assert found.moved == (answer[1] != place)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (("Cy", 0), "the answer 'Cy' of the question 'q' does not stand in its context; correct it, or leave "),
        (("ann", 0), "the answer 'ann' of the question 'q' does not stand in its context; "),
        (("x" * 99, 0), f"the answer '{'x' * 57}...' of the question 'q' does not stand in its context; "),
        (("Bo", 10), "the answer 'Bo' of the question 'q' is not at its offset 10, but at 3 others; correct "),
        (("Bo", 37), "the answer 'Bo' of the question 'q' is not at its offset 37, but at 3 others; "),
        (("Bo", -1), "the answer 'Bo' of the question 'q' is not at its offset -1, but at 3 others; "),
        (("Bo", None), "the answer 'Bo' of the question 'q' is not at its offset None, but at 3 others; "),
    ],
)
def test_an_answer_without_a_place(tmp_path: Path, answer: tuple[str, int | None], what: str) -> None:
    path = squad(tmp_path / "a.json", asked(("Ann", 0), name="a"), asked(answer))
    message = fault(path)
    assert message.startswith(f"{path}: data[0].paragraphs[0].qas[1]: {what}")
    assert message.endswith("or leave such questions out with --on-error skip")
    found = read_questions(path, on_error="skip")
    assert ([row.id for row in found.rows], found.skipped, found.first_skipped) == (["a"], 1, [message])


@pytest.mark.parametrize(
    ("question", "what"),
    [
        (asked() | {"question": " "}, "`question` of the question 'q' is empty; fill it, remove the row, or "),
        (asked() | {"question": 3}, "`question` is 3, not a string"),
        (
            {"id": "q", "answers": []},
            "there is no column `question`; the columns are `id`, `answers`, `context`; expected are `id`, ",
        ),
        (asked(name=None), "`id` is None, not a string or a number; give each question its own"),
        (asked(name=True), "`id` is True, not a string or a number; give each question its own"),
        (asked(("", 0)), "an answer of the question 'q' is {'text': '', 'answer_start': 0}, without a text; "),
        (asked((" ", 3)), "an answer of the question 'q' is {'text': ' ', 'answer_start': 3}, without a text; "),
        (asked() | {"answers": ["Ann"]}, "an answer of the question 'q' is 'Ann', without a text; "),
        (asked() | {"answers": "Ann"}, "the question 'q': `answers` is 'Ann', not a list; write "),
        ({"id": "q", "question": "Who?"}, "the question 'q': has no `answers`; write "),
        (
            asked() | {"answers": {"text": ["Ann"], "answer_start": []}},
            "`answers` of the question 'q' has no lists `text` and `answer_start` of one length",
        ),
        (asked(("Ann", True)), "`answer_start` of the question 'q' is True, not a number"),
        (asked(("Ann", 0), is_impossible=True), "the question 'q' has an answer, and `is_impossible` is true; "),
        (asked(is_impossible=False), "the question 'q' has no answer, and `is_impossible` is false"),
        ("Who?", "this is 'Who?', not a question"),
        (asked(("Ann", 0), name="a"), "the id 'a' stands at {path}: data[0].paragraphs[0].qas[0] too; each question "),
    ],
)
def test_questions_that_are_none(tmp_path: Path, question: Any, what: str) -> None:
    path = squad(tmp_path / "a.json", asked(("Ann", 0), name="a"), question)
    assert fault(path).startswith(f"{path}: data[0].paragraphs[0].qas[1]: {what.replace('{path}', str(path))}")
    found = read_questions(path, on_error="skip")
    assert ([row.id for row in found.rows], found.skipped) == (["a"], 1)


def test_an_empty_context_and_a_paragraph_without_questions(tmp_path: Path) -> None:
    path = squad(tmp_path / "a.json", asked(), asked(name="r"), context="\n")
    where = f"{path}: data[0].paragraphs[0]"
    assert [(row.id, row.impossible) for row in read_questions(path).rows] == [("q", True), ("r", True)]
    squad(path, asked(("Ann", 0)), context="")
    what = f"{where}.qas[0]: the answer 'Ann' of the question 'q' does not stand in its context"
    assert fault(path).startswith(what)
    assert fault(path, on_error="skip").startswith(f"{path}: holds no questions; the first of 1 faults: {what}")
    path.write_text('{"data": [{"paragraphs": [{"context": "a"}]}]}')
    assert fault(path) == f"{where}: this paragraph has no list `qas` of questions"


SQUAD = "is no SQuAD file: `data`, a list of articles each with a list `paragraphs`, is expected; "


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.json", "[]", f": {SQUAD}"),
        ("a.json", '{"rows": []}', f": {SQUAD}"),
        ("a.json", '{"data": [{"context": "a"}]}', f": {SQUAD}"),
        ("a.json", '{"data": []}', ": holds no questions"),
        ("a.json", '{"a": 1}\n{"a": 2}\n', ":2: this is no JSON (Extra data); one object a line is expected in .jsonl"),
        ("a.json", "9" * 5000, ": this JSON is nested too deep, or has numbers too long, to be SQuAD's"),
        ("a.json", "[" * 100_000, ": this JSON is nested too deep, or has numbers too long, to be SQuAD's"),
        ("a.json", b'{"data": "\xe9"}', ": bytes that are not UTF-8 (0xe9 at byte 11); convert the file, as in: iconv"),
        ("a.json.gz", "plain", ": the compressed data is damaged: "),
        ("a.csv", "", ": do not know how to read questions from `.csv`; give SQuAD's .json, or .jsonl or .parquet"),
        ("a.jsonl", "{}\n", ":1: there is no column `question`; the columns are none; expected are `id`, `question`"),
        ("a.jsonl", "\n[]\n", ":2: this line is no JSON object"),
    ],
)
def test_files_that_hold_none(tmp_path: Path, name: str, content: str | bytes, what: str) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert fault(path).startswith(f"{path}{what}")


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    assert fault(path) == f"{path}: no such file"
    monkeypatch.setattr("bertwright.tasks.questions.LONGEST_JSON", 1 << 20)
    path.write_text(" " * (1 << 20) + "{}")
    assert fault(path) == f"{path}: holds more than 1 MB of JSON; save it as .jsonl, one question a line"


def test_bad_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = {"id": "x", "question": "Who?", "context": CONTEXT, "answers": [{"text": "Ann", "answer_start": 0}]}
    path.write_text("\n".join([json.dumps(row), "{", "3", json.dumps(row), json.dumps(row | {"id": "y"})]))
    found = read_questions(path, on_error="skip")
    assert [question.id for question in found.rows] == ["x", "y"]
    assert found.skipped == 3
    assert found.first_skipped == [
        f"{path}:2: this line is no JSON; one object a line is expected",
        f"{path}:3: this line is no JSON object",
        f"{path}:4: the id 'x' stands at {path}:1 too; each question needs an id of its own",
    ]


# As in the list that comes with the data: all questions, and those without an answer. Skipped: two whose text is empty.
PUBLIC = {
    "en/squad1_train_union_answerable": (5101, 0, 0),
    "en/squad2_train_part": (4719, 348, 0),
    "en/squad2_dev_part_cs224n": (6078, 3168, 0),
    "en/squadshifts_new_wiki": (7938, 0, 0),
    "en/covidqa_200423": (1380, 0, 0),
    "zh/cmrc2018_dev": (3219, 0, 0),
    "zh/cmrc2018_trial": (1002, 0, 2),
    "zh/drcd_dev": (3524, 0, 0),
}


@pytest.mark.data
@pytest.mark.parametrize("name", PUBLIC)
def test_public_files_are_read_whole(data_dir: Path, name: str) -> None:
    found = read_questions(data_dir / "qa" / f"{name}.json.gz", on_error="skip")
    count, impossible, skipped = PUBLIC[name]
    assert (len(found.rows) + found.skipped, found.skipped, found.moved) == (count, skipped, 0)
    assert sum(row.impossible for row in found.rows) == impossible
    for row in found.rows:
        assert all(row.context.startswith(answer.text, answer.start) for answer in row.answers)
