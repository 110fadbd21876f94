"""Corpus -> vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bertwright.errors import CorpusError
from bertwright.files import new_directory, refuse_existing, write_atomic
from bertwright.progress import Progress
from bertwright.text.documents import ReadReport, read_documents
from bertwright.tokens.layout import TOKENIZER_FILES, tokenizer_files
from bertwright.tokens.learn import learn_vocabulary
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import Vocabulary
from bertwright.tokens.wordpiece import CONTINUATION
from bertwright.tokens.words import count_words

_REPORT_EVERY = 200


def make_vocabulary(
    sources: Sequence[str],
    out: Path,
    *,
    size: int,
    lowercase: bool = True,
    strip_accents: bool | None = None,
    split_cjk: bool = True,
    alphabet_limit: int = 1000,
    overwrite: bool = False,
    progress: Progress,
) -> Tokenizer:
    """Learn a WordPiece vocabulary of `size` pieces and write it as a tokenizer directory. Raises CorpusError."""
    replaceable = TOKENIZER_FILES if overwrite else ()
    refuse_existing(out, overwrite=replaceable)
    report = ReadReport()
    with progress.task("counting words", None, "documents") as task:

        def texts() -> Iterator[str]:
            for number, document in enumerate(read_documents(sources, report), start=1):
                if number % _REPORT_EVERY == 0:
                    task.update(number)
                yield from document.paragraphs

        counts = count_words(texts(), lowercase=lowercase, strip_accents=strip_accents, split_cjk=split_cjk)
    if not counts:
        raise CorpusError("the corpus is empty: there is no word in it", where=" ".join(sources))
    with progress.task("learning pieces", size, "pieces") as task:
        vocabulary = learn_vocabulary(
            counts, size, alphabet_limit=alphabet_limit, on_progress=lambda done, _: task.update(done)
        )
    tokenizer = Tokenizer(vocabulary, lowercase=lowercase, strip_accents=strip_accents, split_cjk=split_cjk)
    with new_directory(out, overwrite=replaceable, say=progress.say) as partial:
        for name, content in tokenizer_files(tokenizer).items():
            write_atomic(partial / name, content)
    words = counts.total()
    few = "" if len(vocabulary) == size else f" (asked for {size:,}: the corpus holds no more pairs seen twice)"
    progress.say(f"{len(vocabulary):,} pieces{few} from {words:,} words, {len(counts):,} of them distinct -> {out}")
    if report.empty_documents:
        progress.say(f"{report.empty_documents:,} documents without text, passed over")
    for line in _outside(counts, vocabulary, alphabet_limit):
        progress.say(line)
    return tokenizer


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
