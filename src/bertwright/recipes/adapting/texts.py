"""The texts of an adaptation, as documents: a task's rows without their labels, and a sample of a large corpus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Literal

from bertwright.errors import CorpusError, RowError, SettingsError
from bertwright.lines import STANDARD_INPUT, refuse, told
from bertwright.records import kind_of, read_records
from bertwright.tasks.questions import Questions, question_records
from bertwright.tasks.rows import PAIR, SINGLE, rows_of, text_of
from bertwright.tasks.tagged_rows import TaggedRow, read_tagged
from bertwright.text.documents import OnError, corpus_files, read_documents

# What a task's rows are; auto: what their file's ending and columns say.
Rows = Literal["auto", "texts", "tagged", "questions"]
_COLUMN_ENDINGS = (".conll", ".bio", ".iob")
# A corpus of more files is sampled in so many of them, evenly spaced: each is opened, and an address takes its time.
_MOST_FILES = 64
# The part of a sample that one document may be: few long ones would be a sample of little.
_LONGEST_SHARE = 1 / 32


def refuse_standard_input(places: Sequence[str]) -> None:
    """Raise CorpusError where a text can be read only once."""
    if STANDARD_INPUT in places:
        what = "an adaptation reads its texts more than once, and standard input can be read only once"
        raise CorpusError(what, cure="save it to a file")


def task_documents(
    files: Sequence[str],
    columns: Sequence[str] | None,
    rows: Rows = "auto",
    on_error: OnError = "stop",
    say: Callable[[str], None] | None = None,
) -> tuple[list[str], bool]:
    """The text of each row, and whether rows are pairs: both texts of a pair are paragraphs of one document.

    They stand in one document because a task's model will read them together. Words with tags are joined by spaces, and
    of questions each context comes once, whatever is asked of it. Labels are not looked at; .txt is read as documents,
    unless `rows` says that it holds words with tags. on_error: what is done with what is no question; how many were
    left out is told to `say`. Raises RowError or CorpusError.
    """
    texts: list[str] = []
    pairs = False
    for file in files:
        what = _rows_in(file, columns) if rows == "auto" else rows
        if what == "tagged":
            texts += [_sentence(row) for row in read_tagged(file, tags=False, words_column=_only(columns)).rows]
            continue
        if what == "questions":
            texts += _contexts(file, on_error, say)
            continue
        if kind_of(file) == ".txt":
            texts += ["\n\n".join(document.paragraphs) for document in read_documents([file])]
            continue
        records = list(read_records(file, RowError))
        if not records:
            raise RowError("holds no rows", where=told(file))
        place, values = records[0]
        chosen = tuple(columns) if columns else _usual(values, place)
        pairs |= len(chosen) > 1
        texts += ["\n\n".join(row.texts) for row in rows_of(records, chosen, None)]
    return texts, pairs


def _contexts(file: str, on_error: OnError, say: Callable[[str], None] | None) -> dict[str, None]:
    """The texts that questions are asked of, each once; what is wrong with a question does not matter to its text."""
    passed = Questions()
    bad = passed.skip if on_error == "skip" else refuse
    found: dict[str, None] = {}
    for where, values in question_records(file, bad):
        try:
            context = text_of(values, "context", where, "expected are `question` and `context`")
        except RowError as error:
            bad(error)
            continue
        if context.strip():
            found[context] = None
    left_out = ""
    if passed.skipped:
        left_out = f"{passed.skipped:,} rows without a text were left out; the first: {passed.first_skipped[0]}"
    if not found:
        what = "holds no text that a question is asked of"
        raise RowError(f"{what}; {left_out}" if left_out else what, where=told(file))
    if left_out and say is not None:
        say(f"{told(file)}: {left_out}")
    return found


def _rows_in(file: str, columns: Sequence[str] | None) -> Rows:
    kind = kind_of(file)
    if kind in _COLUMN_ENDINGS:
        return "tagged"
    if kind == ".json":
        return "questions"
    if columns or kind not in (".jsonl", ".parquet"):
        return "texts"
    with closing(read_records(file, RowError)) as records:
        values = next(records, ("", {}))[1]
    if any(name in values for name in (*SINGLE, *PAIR)):
        return "texts"
    if "question" in values and "context" in values:
        return "questions"
    return "tagged" if "words" in values or "tokens" in values else "texts"


def _sentence(row: TaggedRow) -> str:
    # Single spaces: a word may hold white space, and a blank line in it would part the sentence.
    return " ".join((row.text or " ".join(row.words)).split())


def _only(columns: Sequence[str] | None) -> str | None:
    if columns is not None and len(columns) > 1:
        what = f"words with tags stand in one column, but {len(columns)} are named: {', '.join(columns)}"
        raise SettingsError(what, cure="name the one that holds the words")
    return columns[0] if columns else None


def _usual(values: dict[str, object], place: str) -> tuple[str, ...]:
    for columns in (SINGLE, PAIR):
        if all(name in values for name in columns):
            return columns
    known = ", ".join(f"`{name}`" for name in list(values)[:10]) or "none"
    what = f"there is neither a column `text` nor `text_a` and `text_b`; the columns are {known}"
    raise RowError(what, where=place, cure="name it with --text-column, twice for pairs")


def documents_json(texts: Sequence[str]) -> bytes:
    """Documents as .jsonl."""
    return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts).encode()


def sampled_documents(sources: Sequence[str], *, characters: int, text_column: str, on_error: OnError) -> Iterator[str]:
    """Text of about so many characters from the beginnings of a corpus' files; no more than that is read.

    Raises CorpusError, also where there is a single document.
    """
    files = corpus_files(sources)
    chosen = [files[number * len(files) // _MOST_FILES] for number in range(_MOST_FILES)]
    chosen = files if len(files) <= _MOST_FILES else chosen
    longest = max(1, int(characters * _LONGEST_SHARE))
    found = 0
    for file in chosen:
        taken = 0
        documents = read_documents([file], text_column=text_column, on_error=on_error)
        with closing(documents):  # type: ignore[type-var]  # a generator, as its author knows
            for document in documents:
                text = "\n\n".join(document.paragraphs)
                if len(text) > longest:
                    # Not within a word, where there is an end of one.
                    text = text[:longest].rsplit(" ", 1)[0] or text[:longest]
                yield text
                found += 1
                taken += len(text)
                if taken >= characters / len(chosen):
                    break
    if found < 2:
        what = f"holds {found} documents, and two are the least that can be measured on"
        cure = "part its documents by blank lines (.txt), or give one object a document (.jsonl)"
        raise CorpusError(what, where=" ".join(sources), cure=cure)
