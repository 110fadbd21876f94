"""Rows of words and their tags: CoNLL columns, or tables with `words,tags`, `text,tags` or `text,spans`.

    U.N.        B-org         a word first, its tag last, between them a tab, or spaces where the line has no tab;
    official    O             a blank line between sentences
    Ekeus       B-per

    {"words": ["U.N.", "official"], "tags": ["B-org", "O"]}
    {"text": "U.N. official", "tags": ["B-org", "O"]}                       split at white space
    {"text": "U.N. official", "spans": [{"start": 0, "end": 4, "label": "org"}]}

A .tsv is a table where its first line names a column of words, else it holds columns. Whatever stands in the file, the
rows have BIO2 tags. A word is kept as it lies, also where it holds nothing but white
space or no character at all: what becomes of it is for the task to say.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from bertwright.errors import RowError, SettingsError
from bertwright.lines import STANDARD_INPUT, lines_of, told
from bertwright.records import TABLES, Record, kind_of, read_records, unknown_kind
from bertwright.tasks.rows import clean, column_of
from bertwright.tasks.tag_schemes import BILOU_ONLY, IOBES_ONLY, is_tag, mend, scheme_of, split_tag
from bertwright.tasks.text_spans import Span, spans_of, tags_of_spans, word_spans

COLUMN_FILES = (".conll", ".bio", ".iob", ".txt", ".tsv")
WORDS = ("words", "tokens", "text")
TAGS = ("tags", "spans")
_DOCUMENT = "-DOCSTART-"
# Lines of a table in which a blank one is looked for.
_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class TaggedRow:
    """The words of a sentence, their BIO2 tags if it has any, and where it stands (file:line).

    Where the row is a text, `text` is that, and `spans` says where each word begins and ends in it. lost: the kinds of
    the gold spans that no tags can tell, as they share their only word with another.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...] | None
    where: str
    text: str | None = None
    spans: tuple[Span, ...] | None = None
    lost: tuple[str, ...] = ()


@dataclass
class TaggedRows:
    """The rows of a file and what reading them showed.

    `scheme` is that of the file's own tags (None: they were not read). `mended` counts steps from tag to tag which the
    scheme does not allow, `widened` spans that do not begin and end where words do, and `lost` those without a word of
    their own. `left_out` counts what is no sentence: comments, -DOCSTART- lines, and rows without a word.
    """

    rows: list[TaggedRow] = field(default_factory=list)
    scheme: str | None = None
    mended: int = 0
    widened: int = 0
    lost: int = 0
    left_out: int = 0


def read_tagged(
    path: str | Path, *, tags: bool = True, words_column: str | None = None, tags_column: str | None = None
) -> TaggedRows:
    """All sentences of a file, with `tags=False` without their tags, which need not be there then.

    Words stand in `words`, `tokens` or `text`, tags in `tags` or `spans`, unless columns are named; in CoNLL columns a
    name is a number from 1. A text is split at white space where it has tags, else as `text_spans` does.
    Raises RowError with file:line, and SettingsError where a column of CoNLL has no number.
    """
    found = TaggedRows()
    kind = ".jsonl" if str(path) == STANDARD_INPUT else kind_of(path)
    if holds_columns(path, words_column):
        columns = _Columns(path, found, tags=tags, words_column=words_column, tags_column=tags_column)
        found.rows.extend(columns.sentences())
    elif kind in TABLES:
        with closing(read_records(path, RowError)) as records:
            found.rows.extend(_rows(records, found, words_column, tags_column, tags=tags))
    else:
        cure = f"give {', '.join(TABLES)}, or columns as {', '.join(COLUMN_FILES)}"
        raise unknown_kind(path, "tagged words", RowError, cure)
    if not found.rows:
        raise RowError("holds no rows", where=told(path))
    if tags:
        _to_bio2(found)
    return found


def _second_scheme(rows: Iterable[TaggedRow]) -> str:
    """Where the rows are no longer of one scheme."""
    letters: set[str] = set()
    for row in rows:
        letters.update(tag[0] for tag in row.tags or ())
        if letters & IOBES_ONLY and letters & BILOU_ONLY:
            return row.where
    return ""


def _to_bio2(found: TaggedRows) -> None:
    """Give all rows BIO2 tags, in the place of those of the file."""
    try:
        scheme = scheme_of(row.tags or () for row in found.rows)
    except RowError as error:
        raise RowError(error.what, where=_second_scheme(found.rows), cure=error.cure) from None
    for number, row in enumerate(found.rows):
        bio2, wrong = mend(row.tags or (), scheme)
        found.rows[number] = replace(row, tags=bio2)
        found.mended += wrong
    found.scheme = scheme


class _Columns:
    """The sentences of a file of columns; the number of columns is that of the first word's line."""

    def __init__(
        self,
        path: str | Path,
        found: TaggedRows,
        *,
        tags: bool,
        words_column: str | None,
        tags_column: str | None,
        opened: Callable[[IO[bytes]], None] | None = None,
    ) -> None:
        self._path = path
        self._opened = opened
        self._found = found
        self._tags = tags
        self._word_at = _column_number(words_column, 0)
        self._tag_at = _column_number(tags_column, -1)
        self._first: tuple[int, str] | None = None  # the number of columns, and the line it was seen in

    def sentences(self) -> Iterator[TaggedRow]:
        words: list[str] = []
        tags: list[str] = []
        begin = ""
        with closing(lines_of(self._path, RowError, opened=self._opened)) as lines:
            for number, line in lines:
                where = f"{told(self._path)}:{number}"
                # Not every white space: a line may hold a word that is a no-break space.
                blank = not line.strip(" \t")
                cells = [] if blank else _cells(line)
                if blank or cells[0].startswith(_DOCUMENT):
                    self._found.left_out += not blank
                    if words:
                        yield self._sentence(words, tags, begin)
                        words, tags = [], []
                elif self._is_comment(line, cells):
                    self._found.left_out += 1
                else:
                    begin = begin if words else where
                    self._check(cells, where)
                    # Interned: a file of characters holds the same few thousand words millions of times.
                    words.append(sys.intern(cells[self._word_at]))
                    if self._tags:
                        tag = sys.intern(cells[self._tag_at].strip())
                        split_tag(tag, where)
                        tags.append(tag)
        if words:
            yield self._sentence(words, tags, begin)

    def _sentence(self, words: list[str], tags: list[str], where: str) -> TaggedRow:
        return TaggedRow(tuple(words), tuple(tags) if self._tags else None, where)

    def _is_comment(self, line: str, cells: list[str]) -> bool:
        """Whether a line is `# ...`; `# O` and `#tag O` are words, and so is `# NN` among lines of two columns."""
        if not line.startswith("# ") or "\t" in line or (len(cells) > 1 and is_tag(cells[-1])):
            return False
        return self._tags or self._first is None or len(cells) == 1 or len(cells) != self._first[0]

    def _check(self, cells: list[str], where: str) -> None:
        if self._first is None:
            if self._tags and len(cells) == 1:
                cure = "part the word from its tag by a tab or a space"
                raise RowError("this line has one column, not a word and a tag", where=where, cure=cure)
            asked = max(self._word_at + 1, self._tag_at + 1 if self._tags else 0)
            if asked > len(cells):
                raise RowError(f"there is no column {asked}; this line has {len(cells)}", where=where)
            self._first = (len(cells), where)
        count, line = self._first
        if len(cells) != count:
            what = f"this line has {len(cells)} column(s), and {line} has {count}"
            raise RowError(what, where=where, cure="part columns by one tab where a word holds or is white space")


def _cells(line: str) -> list[str]:
    """The columns of a line: parted by tabs if there is one, else by spaces, and by no other white space."""
    return line.split("\t") if "\t" in line else [cell for cell in line.split(" ") if cell]


def _column_number(name: str | None, usual: int) -> int:
    if name is None:
        return usual
    if not (name.isascii() and name.isdigit() and 0 < int(name) <= 1000):
        what = f"the columns of a CoNLL file have no names, and {name!r} is no number of one"
        raise SettingsError(what, cure="give 1 for the first, or nothing: the first holds words, the last tags")
    return int(name) - 1


def row_of(text: str | Sequence[str], where: str = "") -> TaggedRow:
    """A text, split as `text_spans` does, or a list of words, without tags. Raises RowError."""
    if not isinstance(text, str):
        if not all(isinstance(word, str) for word in text):
            raise RowError(f"{list(text)!r} is neither a text nor a list of words", where=where or None)
        return TaggedRow(tuple(clean(word) for word in text), None, where)
    text = clean(text)
    places = word_spans(text)
    return TaggedRow(tuple(text[start:end] for start, end in places), None, where, text, places)


def holds_columns(path: str | Path, words_column: str | None) -> bool:
    """Whether a file holds CoNLL's columns, and not rows: by its ending, and of a .tsv by its first line.

    Raises RowError where that line names columns, and blank lines part what comes after it.
    """
    if str(path) == STANDARD_INPUT or kind_of(path) not in COLUMN_FILES:
        return False
    if kind_of(path) != ".tsv":
        return True
    with closing(lines_of(path, RowError)) as lines:
        names = [cell.strip() for cell in next(lines, (0, ""))[1].split("\t")]
        if words_column is not None and not words_column.isdigit():
            columns = words_column not in names
        else:
            # A sentence may begin with the word `text`: its tag stands beside it then, or nothing does.
            columns = is_tag(names[-1]) or len(names) < 2 or not any(name in names for name in WORDS)
        parted = 0
        for number, line in itertools.islice(lines, 0 if columns else _LOOKED_AT):
            if not line.strip():
                parted = number
            elif parted:
                what = f"this line names columns, as that of a table, and line {parted} is blank, as between sentences"
                raise RowError(what, where=f"{told(path)}:1", cure="remove the one or the other")
    return columns


def column_there(path: str | Path, column: str | None) -> str | None:
    """A column of a model's training, None where a file has none of that kind: names, or numbers of CoNLL's columns."""
    return None if column is None or holds_columns(path, column) != column.isdigit() else column


def tagged_records(
    path: str | Path,
    words_column: str | None,
    opened: Callable[[IO[bytes]], None] | None = None,
    *,
    trained: str | None = None,
) -> Iterator[Record]:
    """The rows of a file that are to be tagged: of columns the words of each sentence, else the rows as they are.

    words_column: the one that was asked for; trained: that of the model's training, looked at where the file has it.
    Tags that are there are not looked at; `opened` is given the file as it lies. Raises RowError, and SettingsError
    where a column of CoNLL has no number.
    """
    column = words_column or column_there(path, trained)
    if holds_columns(path, column):
        columns = _Columns(path, TaggedRows(), tags=False, words_column=column, tags_column=None, opened=opened)
        for row in columns.sentences():
            yield row.where, {"words": list(row.words)}
    else:
        yield from read_records(path, RowError, opened=opened)


def rows_to_tag(records: Iterable[Record], words_column: str | None, trained: str | None = None) -> list[TaggedRow]:
    """A row for each record, of its text or its words alone, also where it holds none. Raises RowError.

    words_column: the one that was asked for; trained: that of the model's training. A number names a column of CoNLL,
    which no record has, and such a column's record has `words` alone: the usual ones are looked at then.
    """
    found = TaggedRows()
    rows = []
    for where, values in records:
        named = words_column or (None if values.keys() == {"words"} else trained)
        if named is not None and named.isdigit() and named not in values:
            named = None
        rows.append(_row(values, where, found, named, None, tags=False))
    return rows


def _rows(
    records: Iterator[Record], found: TaggedRows, words_column: str | None, tags_column: str | None, *, tags: bool
) -> Iterator[TaggedRow]:
    for where, values in records:
        row = _row(values, where, found, words_column, tags_column if tags else None, tags=tags)
        if row.words:
            yield row
        else:
            found.left_out += 1


def _row(
    values: dict[str, Any],
    where: str,
    found: TaggedRows,
    words_column: str | None,
    tags_column: str | None,
    *,
    tags: bool,
) -> TaggedRow:
    name, given = _value(values, words_column, WORDS, where, "--text-column")
    tags_name, marks = _value(values, tags_column, TAGS, where, "--label-column") if tags else ("", None)
    if isinstance(marks, str) and marks.lstrip().startswith("["):
        marks = _list_in(marks, tags_name, where)
    text = clean(given) if isinstance(given, str) else None
    objects = isinstance(marks, list) and any(isinstance(mark, dict) for mark in marks)
    # An empty list tells nothing but by its name: in `tags` it has lost its tags, elsewhere the text has no span.
    if tags and (objects or (marks == [] and text is not None and tags_name != "tags")):
        if text is None:
            what = f"`{tags_name}` holds spans, and `{name}` is a list"
            raise RowError(what, where=where, cure="spans of characters need a text; give a tag for each word")
        marked, trimmed = spans_of(text, marks, tags_name, where)
        spans = word_spans(text)
        fitted = tags_of_spans(spans, marked)
        found.widened += trimmed + fitted.widened
        found.lost += len(fitted.lost)
        return TaggedRow(tuple(text[start:end] for start, end in spans), fitted.tags, where, text, spans, fitted.lost)
    if text is None:
        words, places = _strings(given, name, where), None
    else:
        places = _parts(text) if tags else word_spans(text)
        words = tuple(text[start:end] for start, end in places)
    if not tags:
        return TaggedRow(words, None, where, text, places)
    if isinstance(marks, str):
        marks = marks.split()
    given_tags = _strings(marks, tags_name, where)
    if len(words) != len(given_tags):
        cure = "one tag for each word is expected" + (", and a text is split at white space" if text else "")
        raise RowError(f"`{name}` has {len(words)} words, `{tags_name}` {len(given_tags)} tags", where=where, cure=cure)
    for tag in given_tags:
        split_tag(tag, where)
    return TaggedRow(words, given_tags, where, text, places)


def _list_in(cell: str, name: str, where: str) -> Any:
    """A list that a table holds as text."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        cure = 'write ["O", "B-x"] or O B-x, or spans as [{"start": 0, "end": 2, "label": "x"}]'
        raise RowError(f"`{name}` begins as a list and is no JSON: {cell[:80]!r}", where=where, cure=cure) from None


def _value(values: dict[str, Any], named: str | None, usual: Sequence[str], where: str, option: str) -> tuple[str, Any]:
    """The name and the value of a column: the one named, else the first of the usual ones that is there."""
    name = named or next((each for each in usual if each in values), usual[0])
    return name, column_of(values, name, where, cure=f"name it with {option}")


def _parts(text: str) -> tuple[Span, ...]:
    """Where the parts of a text between white space stand."""
    found = []
    at = 0
    for part in text.split():
        at = text.index(part, at)
        found.append((at, at + len(part)))
        at += len(part)
    return tuple(found)


def _strings(values: Any, name: str, where: str) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise RowError(f"`{name}` is {values!r}, not a list of strings", where=where)
    for value in values:
        if not isinstance(value, str):
            cure = "write the names of the tags, not their numbers" if isinstance(value, int) else None
            raise RowError(f"`{name}` holds {value!r}, not a string", where=where, cure=cure)
    return tuple(sys.intern(clean(value)) for value in values)
