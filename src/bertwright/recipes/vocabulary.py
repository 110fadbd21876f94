"""Corpus -> vocabulary."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bertwright.errors import CorpusError
from bertwright.files import new_directory, refuse_existing, scratch_directory, write_atomic
from bertwright.parallel import in_order, processors
from bertwright.progress import Progress
from bertwright.text.documents import OnError, ReadReport, handfuls, read_documents
from bertwright.tokens.layout import TOKENIZER_FILES, tokenizer_files
from bertwright.tokens.learn import learn_vocabulary
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import Vocabulary
from bertwright.tokens.wordpiece import CONTINUATION
from bertwright.tokens.words import WordCounter, WordTally

MAX_WORDS = 5_000_000
# Characters that are kept, where nothing else is asked for.
ALPHABET = 1000
_CHARACTERS_AT_ONCE = 4 << 20


def make_vocabulary(
    sources: Sequence[str],
    out: Path,
    *,
    size: int,
    lowercase: bool = True,
    strip_accents: bool | None = None,
    split_cjk: bool = True,
    alphabet_limit: int = ALPHABET,
    unused: int = 0,
    max_words: int = MAX_WORDS,
    text_column: str = "text",
    on_error: OnError = "stop",
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress,
) -> Tokenizer:
    """Learn a WordPiece vocabulary of `size` pieces and write it as a tokenizer directory.

    The same text gives the same bytes, in any order of the files and on any number of `workers` (None: one a core).
    Beyond `max_words` distinct words, counts go to files beside `out`, and the rarest words are left out in the end.

    Raises CorpusError, or VocabularyError where `size` is too small.
    """
    replaceable = TOKENIZER_FILES if overwrite else ()
    refuse_existing(out, overwrite=replaceable)
    counter = WordCounter(lowercase, strip_accents, split_cjk)
    counts, tally, report = count_corpus(
        sources,
        counter,
        out,
        max_words=max_words,
        text_column=text_column,
        on_error=on_error,
        workers=workers,
        progress=progress,
    )
    with progress.task("learning pieces", size, "pieces") as task:
        vocabulary = learn_vocabulary(
            counts, size, alphabet_limit=alphabet_limit, unused=unused, on_progress=lambda done, _: task.update(done)
        )
    tokenizer = Tokenizer(vocabulary, lowercase=lowercase, strip_accents=strip_accents, split_cjk=split_cjk)
    with new_directory(out, overwrite=replaceable, say=progress.say) as partial:
        for name, content in tokenizer_files(tokenizer).items():
            write_atomic(partial / name, content)
    few = "" if len(vocabulary) == size else f" (asked for {size:,}: the corpus holds no more pairs seen twice)"
    progress.say(
        f"{len(vocabulary):,} pieces{few} by merging pairs, from {tally.occurrences:,} words, "
        f"{tally.distinct:,} of them distinct -> {out}"
    )
    if len(counts) < tally.distinct:
        left = tally.occurrences - sum(counts.values())
        progress.say(
            f"{tally.distinct - len(counts):,} of the rarest words, {left / tally.occurrences:.3%} of the text, were "
            f"not learned from: --max-words is {max_words:,}"
        )
    if passed_over := report.passed_over_told():
        progress.say(passed_over)
    if report.skipped:
        progress.say(f"{report.skipped:,} lines or rows that are no documents, skipped; the first of them:")
        for message in report.first_skipped:
            progress.say(f"  {message}")
    if report.empty_documents:
        progress.say(f"{report.empty_documents:,} documents without text, passed over")
    for line in _outside(counts, vocabulary, alphabet_limit):
        progress.say(line)
    return tokenizer


def count_corpus(
    sources: Sequence[str],
    counter: WordCounter,
    out: Path,
    *,
    max_words: int = MAX_WORDS,
    text_column: str = "text",
    on_error: OnError = "stop",
    workers: int | None = None,
    progress: Progress,
) -> tuple[dict[str, int], WordTally, ReadReport]:
    """How often each word stands in a corpus, of the `max_words` most frequent ones. Raises CorpusError where none is.

    Counts that the memory is not to hold lie beside `out` meanwhile.
    """
    report = ReadReport()
    begun = time.perf_counter()
    with (
        scratch_directory(out, progress.say) as folder,
        progress.task("counting words", None, "words") as task,
    ):
        tally = WordTally(max_words, folder)
        documents = read_documents(sources, report, text_column=text_column, on_error=on_error)
        words = 0
        for found in in_order(counter, handfuls(documents, _CHARACTERS_AT_ONCE), workers=workers or processors()):
            tally.add(found)
            words += found.total()
            task.update(words, report.progress(time.perf_counter() - begun))
        counts = tally.most_frequent()
    if not counts:
        raise CorpusError("the corpus is empty: there is no word in it", where=" ".join(sources))
    return counts, tally, report


def _outside(counts: Mapping[str, int], vocabulary: Vocabulary, limit: int) -> Iterator[str]:
    """What the alphabet does not cover: every word with such a character will be [UNK]."""
    alphabet = {piece.removeprefix(CONTINUATION) for piece in vocabulary.pieces}
    characters = {char for word in counts for char in word if char not in alphabet}
    if characters:
        lost = sum(count for word, count in counts.items() if not characters.isdisjoint(word))
        share = lost / sum(counts.values())
        yield (
            f"{len(characters):,} rare characters are outside the alphabet of {limit:,}: {lost:,} words ({share:.3%}) "
            "will be [UNK]; a larger --alphabet takes them in"
        )
