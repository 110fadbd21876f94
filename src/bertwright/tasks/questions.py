"""Questions on texts: SQuAD's JSON (1.1 and 2.0; CMRC 2018 and DRCD too), or JSONL and Parquet, one question a row.

    {"id": "q1", "question": "Who?", "context": "It was Ann.", "answers": {"text": ["Ann"], "answer_start": [7]}}
    {"id": "q2", "question": "When?", "context": "It was Ann.", "answers": []}

A question without answers has none in its text. An offset that does not lead to its answer is mended where the text
leaves no doubt about the place: the answer stands there once, or one place of it is nearest to the offset and at most
20 characters away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bertwright.errors import RowError, UserFault
from bertwright.lines import STANDARD_INPUT, faults_of, open_bytes, refuse, told
from bertwright.records import Handler, Record, kind_of, read_records, unknown_kind
from bertwright.tasks.rows import clean, text_of
from bertwright.text.documents import OnError

# One value is read as a whole: no file can fill the memory.
LONGEST_JSON = 1 << 30
NEAR = 20
_TOLD_FAULTS = 5
_TEXTS = ("question", "context")
_NAMES = "expected are `id`, `question`, `context` and `answers`"


@dataclass(frozen=True, slots=True)
class Answer:
    """A part of a context, white space at its ends included: `context[start : start + len(text)] == text`."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the text to find its answer in, the answers that were given, and where it stands."""

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    where: str

    @property
    def impossible(self) -> bool:
        """Whether the context holds no answer (if answers were read at all)."""
        return not self.answers


@dataclass
class Questions:
    """The questions of a file and what reading them showed.

    `moved` counts answers whose offset was mended; `skipped` the questions left out with `on_error="skip"`, the first
    few of them as messages.
    """

    rows: list[Question] = field(default_factory=list)
    moved: int = 0
    skipped: int = 0
    first_skipped: list[str] = field(default_factory=list)

    def skip(self, fault: UserFault) -> None:
        """Count a fault instead of raising it."""
        self.skipped += 1
        if len(self.first_skipped) < _TOLD_FAULTS:
            self.first_skipped.append(str(fault))


def read_questions(path: str | Path, *, on_error: OnError = "stop") -> Questions:
    """All questions of a file, with their answers. A context may be empty, and has no answer then.

    Raises RowError with the place of what is no question: a line, or in SQuAD's JSON as data[0].paragraphs[1].qas[2];
    with `on_error="skip"` it is counted.
    """
    found = Questions()
    bad = found.skip if on_error == "skip" else refuse
    reader = _Reader(numbered=_kind(path) != ".json")
    with closing(question_records(path, bad)) as given:
        for where, values in given:
            try:
                question, moved = reader.question(values, where)
            except RowError as error:
                bad(error)
                continue
            found.rows.append(question)
            found.moved += moved
    if not found.rows:
        first = f"; the first of {found.skipped:,} faults: {found.first_skipped[0]}" if found.skipped else ""
        raise RowError(f"holds no questions{first}", where=told(path))
    return found


def question_records(
    path: str | Path, bad: Handler = refuse, opened: Callable[[IO[bytes]], None] | None = None
) -> Generator[Record]:
    """The questions of a file as they stand there, each with its place. Raises RowError where it holds none.

    SQuAD's .json is one value, and is read as a whole; `opened` is given the file of rows as it lies.
    """
    kind = _kind(path)
    if kind == ".json":
        return _squad(path, bad)
    if kind in (".jsonl", ".parquet"):
        return read_records(path, RowError, bad, opened=opened)
    raise unknown_kind(path, "questions", RowError, "give SQuAD's .json, or .jsonl or .parquet")


def questions_of(records: Iterable[Record]) -> list[Question]:
    """Questions to be answered, of records that were read already; a context may be empty. Raises RowError."""
    found = []
    for where, values in records:
        question, context = (
            text_of(values, column, where, "expected are `question` and `context`") for column in _TEXTS
        )
        if not question.strip():
            raise RowError("`question` is empty", where=where, cure="ask something, or remove the row")
        found.append(Question(str(values.get("id", "")), question, context, (), where))
    return found


def _kind(path: str | Path) -> str:
    return ".jsonl" if str(path) == STANDARD_INPUT else kind_of(path)


class _Reader:
    """Questions of one file, whose ids must differ; with `numbered`, one without an id is called by its line."""

    def __init__(self, *, numbered: bool) -> None:
        self._numbered = numbered
        self._places: dict[str, str] = {}

    def question(self, values: dict[str, Any], where: str) -> tuple[Question, int]:
        """A question, and how many of its answers were moved to their place."""
        name = self._id(values, where)
        question, context = (text_of(values, column, where, _NAMES) for column in _TEXTS)
        if not question.strip():
            cure = "fill it, remove the row, or leave such rows out with --on-error skip"
            raise RowError(f"`question` of the question {name!r} is empty", where=where, cure=cure)
        answers, moved = _checked_answers(values, context, name, where)
        self._places[name] = where
        return Question(name, question, context, answers, where), moved

    def _id(self, values: dict[str, Any], where: str) -> str:
        given = values.get("id", where.rpartition(":")[2] if self._numbered else None)
        if not isinstance(given, str | int) or isinstance(given, bool) or given == "":
            cure = "give each question its own"
            raise RowError(f"`id` is {given!r}, not a string or a number", where=where, cure=cure)
        name = clean(str(given))
        if name in self._places:
            what = f"the id {name!r} stands at {self._places[name]} too"
            raise RowError(what, where=where, cure="each question needs an id of its own")
        return name


def _checked_answers(values: dict[str, Any], context: str, name: str, where: str) -> tuple[tuple[Answer, ...], int]:
    """The answers of a question where they lie in its context, and how many were moved there."""
    given = _answers(values, name, where)
    said = values.get("is_impossible")
    if said is True and given:
        what = f"the question {name!r} has an answer, and `is_impossible` is true"
        raise RowError(what, where=where, cure="remove the one or the other")
    if said is False and not given:
        raise RowError(f"the question {name!r} has no answer, and `is_impossible` is false", where=where)
    placed = tuple(_placed(text, start, context, name, where) for text, start in given)
    return placed, sum(answer.start != start for answer, (_, start) in zip(placed, given, strict=True))


def _answers(values: dict[str, Any], name: str, where: str) -> list[tuple[str, int | None]]:
    """Texts and offsets, of a list of objects or of an object of lists; None is an offset that is not known."""
    given = values.get("answers")
    cure = 'write [{"text": ..., "answer_start": ...}], and [] where there is none'
    if "answers" not in values and values.get("is_impossible") is True:
        return []
    if isinstance(given, dict):
        texts, starts = given.get("text"), given.get("answer_start")
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            what = f"`answers` of the question {name!r} has no lists `text` and `answer_start` of one length"
            raise RowError(what, where=where)
        given = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    if not isinstance(given, list):
        what = f"`answers` is {given!r}, not a list" if "answers" in values else "has no `answers`"
        raise RowError(f"the question {name!r}: {what}", where=where, cure=cure)
    found: list[tuple[str, int | None]] = []
    for answer in given:
        text = answer.get("text") if isinstance(answer, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise RowError(f"an answer of the question {name!r} is {answer!r}, without a text", where=where, cure=cure)
        start = answer.get("answer_start")
        if start is not None and type(start) is not int:  # True is an int to Python
            raise RowError(f"`answer_start` of the question {name!r} is {start!r}, not a number", where=where)
        found.append((clean(text), start))
    return found


def _placed(text: str, start: int | None, context: str, name: str, where: str) -> Answer:
    """The answer where it lies in the context."""
    if start is not None and start >= 0 and context.startswith(text, start):
        return Answer(text, start)
    places = list(_occurrences(text, context))
    if len(places) == 1:
        return Answer(text, places[0])
    told_text = repr(text if len(text) <= 60 else f"{text[:57]}...")
    if not places:
        what = f"the answer {told_text} of the question {name!r} does not stand in its context"
        raise RowError(what, where=where, cure="correct it, or leave such questions out with --on-error skip")
    # -1 means that nobody looked, and is near to nothing.
    if start is not None and start >= 0:
        near = sorted((abs(place - start), place) for place in places if abs(place - start) <= NEAR)
        if near and (len(near) == 1 or near[0][0] < near[1][0]):
            return Answer(text, near[0][1])
    what = f"the answer {told_text} of the question {name!r} is not at its offset {start}, but at {len(places)} others"
    raise RowError(what, where=where, cure="correct `answer_start`, or leave such questions out with --on-error skip")


def _occurrences(text: str, context: str) -> Iterator[int]:
    place = context.find(text)
    while place >= 0:
        yield place
        place = context.find(text, place + 1)


def _squad(path: str | Path, bad: Callable[[UserFault], None]) -> Generator[tuple[str, dict[str, Any]]]:
    """The questions of a SQuAD file with their places, each with the context of its paragraph."""
    values = _json(path)
    articles = values.get("data") if isinstance(values, dict) else None
    if not isinstance(articles, list) or not all(_has_list(article, "paragraphs") for article in articles):
        what = "is no SQuAD file: `data`, a list of articles each with a list `paragraphs`, is expected"
        cure = "save other questions as .jsonl, with `id`, `question`, `context` and `answers`"
        raise RowError(what, where=path, cure=cure)
    for i, article in enumerate(articles):
        for j, paragraph in enumerate(article["paragraphs"]):
            where = f"{path}: data[{i}].paragraphs[{j}]"
            if not _has_list(paragraph, "qas"):
                bad(RowError("this paragraph has no list `qas` of questions", where=where))
                continue
            shared = {"context": paragraph["context"]} if "context" in paragraph else {}
            if isinstance(shared.get("context"), str):
                shared["context"] = clean(shared["context"])
            for k, question in enumerate(paragraph["qas"]):
                if isinstance(question, dict):
                    yield f"{where}.qas[{k}]", question | shared
                else:
                    bad(RowError(f"this is {question!r}, not a question", where=f"{where}.qas[{k}]"))


def _has_list(value: Any, name: str) -> bool:
    return isinstance(value, dict) and isinstance(value.get(name), list)


def _json(path: str | Path) -> Any:
    with faults_of(path, RowError), open_bytes(path) as file:
        content = file.read(LONGEST_JSON + 1)
    if len(content) > LONGEST_JSON:
        cure = "save it as .jsonl, one question a line"
        raise RowError(f"holds more than {LONGEST_JSON >> 20:,} MB of JSON", where=path, cure=cure)
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        what = f"bytes that are not UTF-8 (0x{content[error.start]:02x} at byte {error.start + 1})"
        cure = "convert the file, as in: iconv -f latin1 -t utf-8"
        raise RowError(what, where=path, cure=cure) from None
    except json.JSONDecodeError as error:
        cure = "one object a line is expected in .jsonl, SQuAD's one object in .json"
        raise RowError(f"this is no JSON ({error.msg})", where=f"{path}:{error.lineno}", cure=cure) from None
    except (ValueError, RecursionError):
        what = "this JSON is nested too deep, or has numbers too long, to be SQuAD's"
        raise RowError(what, where=path) from None
