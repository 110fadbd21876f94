"""Files whose blank lines, or rows, part what belongs together; or that part nothing at all."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bertwright.lines import STANDARD_INPUT, told
from bertwright.recipes.doctor.measures import Mistake, MistakeName
from bertwright.recipes.doctor.survey import SHORT_DOCUMENT, Survey
from bertwright.records import TABLES, kind_of

_EXAMPLES = 5
# A file is judged if it has so many documents, of which so many are a single sentence.
_LEAST_DOCUMENTS = 20
_SINGLE = 0.8
# Neighbours share a rare word so many times as often as documents far apart do, and not by the chance of a few. On
# five corpora of running text the ratio was 4 to 17, on the same sentences shuffled 0.7 to 1.2. Short documents in the
# order of a list may be related too, so of paragraphs more is asked.
_RUNNING, _RUNNING_PARAGRAPHS = 2.0, 4.0
_BY_CHANCE = 5
# One document of so many sentences is more than an article: a book or a dump.
_GIANT = 1000


@dataclass
class _File:
    name: str
    documents: int = 0
    single: int = 0
    sentences: int = 0
    near: int = 0
    far: int = 0


@dataclass
class _Kind:
    files: int = 0
    documents: int = 0
    examples: list[str] = field(default_factory=list)


class FileLayouts:
    """Judges one file after the other; only the one that is being read is kept in mind."""

    def __init__(self) -> None:
        self._file: _File | None = None
        self._found: dict[MistakeName, _Kind] = {}

    def add(self, files: list[str], sentences: np.ndarray, survey: Survey) -> None:
        """Take in documents, given the file of each."""
        rows = zip(files, sentences.tolist(), survey.near.tolist(), survey.far.tolist(), strict=True)
        for name, count, near, far in rows:
            if self._file is None or self._file.name != name:
                self._judge()
                self._file = _File(name)
            file = self._file
            file.documents += 1
            file.sentences += count
            file.single += count <= 1
            file.near += near
            file.far += far

    def mistakes(self) -> tuple[Mistake, ...]:
        """What was found, after the last document."""
        self._judge()
        self._file = None
        return tuple(
            Mistake(name=name, files=found.files, documents=found.documents, examples=tuple(found.examples))
            for name, found in sorted(self._found.items())
        )

    def _judge(self) -> None:
        file = self._file
        if file is None:
            return
        table = file.name != told(STANDARD_INPUT) and kind_of(file.name) in TABLES
        name: MistakeName | None = None
        if file.documents >= _LEAST_DOCUMENTS and file.single >= _SINGLE * file.documents:
            if file.near > _RUNNING * file.far + _BY_CHANCE:
                name = "a row for every sentence" if table else "blank line after every sentence"
        elif (
            not table
            and file.documents >= _LEAST_DOCUMENTS
            and file.sentences <= SHORT_DOCUMENT * file.documents
            and file.near > _RUNNING_PARAGRAPHS * file.far + _BY_CHANCE
        ):
            name = "blank line after every paragraph"
        elif not table and file.documents == 1 and file.sentences >= _GIANT:
            name = "no blank line"
        if name is not None:
            found = self._found.setdefault(name, _Kind())
            found.files += 1
            found.documents += file.documents
            if len(found.examples) < _EXAMPLES:
                found.examples.append(file.name)
