"""A corpus, looked at from all sides before anything is made of it: what it is, and what will go wrong with it."""

from __future__ import annotations

import importlib.util
import shlex
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bertwright.errors import CorpusError, Stopped
from bertwright.parallel import in_order, processors
from bertwright.progress import Progress, Task
from bertwright.recipes.doctor.estimates import PAPER_VOCABULARY, Timing, estimate_timing, shard_bytes
from bertwright.recipes.doctor.findings import Course, Finding, find
from bertwright.recipes.doctor.measures import Measures
from bertwright.recipes.doctor.survey import Survey, Surveyor
from bertwright.recipes.doctor.tally import CorpusTally
from bertwright.recipes.prepare import PrepareSettings
from bertwright.recipes.recipe import load_recipe
from bertwright.recipes.vocabulary import ALPHABET
from bertwright.text.documents import Document, OnError, ReadReport, handfuls, read_documents
from bertwright.text.sentences import check_language
from bertwright.tokens.layout import read_tokenizer
from bertwright.tokens.words import WordNumbers
from bertwright.training.signals import StopWish, stop_wishes

_CHARACTERS_AT_ONCE = 1 << 20
# Whose examples, steps and batch stand for all recipes of the paper's.
_PAPER_RECIPE = "bert-base"


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """What the doctor says: measures, estimates and findings. `timing` is None where it was not wanted."""

    sources: tuple[str, ...]
    language: str
    max_length: int
    measures: Measures
    shard_bytes: int
    timing: Timing | None
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong; notes may be there all the same."""
        return all(finding.grade == "note" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"healthy": self.healthy, **asdict(self)}


def diagnose(
    sources: Sequence[str],
    *,
    vocab: Path | None = None,
    language: str = "en",
    text_column: str = "text",
    on_error: OnError = "skip",
    max_length: int = 128,
    epochs: int = 40,
    timing: bool = True,
    workers: int | None = None,
    progress: Progress,
) -> Diagnosis:
    """Look at a corpus on `workers` processes (None: one a core); with `vocab` in its tokens, else in words.

    All but `timing` is the same for any number of workers. Lines that are no documents are counted by default, for
    finding them is what this is for. Raises CorpusError where there is no text at all, or Stopped.
    """
    check_language(language)
    tokenizer = None if vocab is None else read_tokenizer(vocab)
    near = importlib.util.find_spec("rensa") is not None
    held_out = PrepareSettings().held_out
    tally = CorpusTally(tokenizer, str(vocab or ""), near=near, held_out=held_out, default_alphabet=ALPHABET)
    surveyor = Surveyor(tokenizer or WordNumbers(), language, near)
    report = ReadReport()
    size = len(tokenizer.vocabulary) if tokenizer else PAPER_VOCABULARY
    recipe = load_recipe(_PAPER_RECIPE, [f"examples.max_length={max_length}"])
    with stop_wishes() as wish:
        with progress.task("examining", None, "documents") as task:
            documents = read_documents(sources, report, text_column=text_column, on_error=on_error, line_break="\n")
            _examine(documents, surveyor, workers or processors(), tally, report, task, wish)
        if not tally.counts["documents"]:
            raise _no_text(sources, report)
        measures = tally.measures(report, recipe.examples)
        estimated = None
        if timing:
            estimated = estimate_timing(
                measures,
                tally.seconds,
                recipe.examples,
                vocabulary_size=size,
                epochs=epochs,
                batch_size=recipe.training.batch_size,
                wish=wish,
                progress=progress,
            )
            _heed(wish, "while training steps were timed")
    course = Course(
        corpus=shlex.join(sources),
        language=language,
        text_column=text_column,
        held_out=held_out,
        max_length=max_length,
        epochs=epochs,
        recipe_steps=recipe.training.steps,
        recipe_batch=recipe.training.batch_size,
    )
    return Diagnosis(
        sources=tuple(sources),
        language=language,
        max_length=max_length,
        measures=measures,
        shard_bytes=shard_bytes(measures, size),
        timing=estimated,
        findings=tuple(find(measures, course)),
    )


def _examine(
    documents: Iterable[Document],
    surveyor: Surveyor,
    workers: int,
    tally: CorpusTally,
    report: ReadReport,
    task: Task,
    wish: StopWish,
) -> None:
    begun = time.perf_counter()
    # Places stay here: they are told again, and need not travel.
    places: deque[str] = deque()

    def noted() -> Iterator[Document]:
        for document in documents:
            places.append(document.where)
            yield document

    surveys: Iterator[Survey] = in_order(surveyor, handfuls(noted(), _CHARACTERS_AT_ONCE), workers=workers)
    for survey in surveys:
        tally.add(survey, [places.popleft() for _ in survey.digests])
        figures = f"{tally.counts['tokens']:,} {'tokens' if tally.tokenizer else 'words'}"
        task.update(tally.counts["documents"], f"{figures}, {report.progress(time.perf_counter() - begun)}")
        _heed(wish, f"after {tally.counts['documents']:,} documents")


def _heed(wish: StopWish, when: str) -> None:
    if wish.signal_number is not None:
        raise Stopped(f"stopped {when}; nothing was written", wish.signal_number)


def _no_text(sources: Sequence[str], report: ReadReport) -> CorpusError:
    if report.skipped:
        # The first fault says what is wrong and where; the others are most likely its like.
        more = f" ({report.skipped - 1:,} more such)" if report.skipped > 1 else ""
        return CorpusError(f"there is no text in the corpus: {report.first_skipped[0]}{more}")
    return CorpusError("the corpus is empty: there is no text in it", where=" ".join(sources))
