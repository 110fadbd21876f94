"""Adding up what the doctor's workers find, in the order of the corpus and in bounded memory.

Of each document nothing is kept but, up to a limit, its digest and place, its signature, and the lengths of its
sentences; what lies beyond a limit is sampled or left out, and `Measures` says so.
"""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np

from bertwright.examples.settings import ExampleSettings
from bertwright.recipes.doctor.file_layouts import FileLayouts
from bertwright.recipes.doctor.measures import (
    Boilerplate,
    Characters,
    Duplicates,
    Line,
    Measures,
    Spread,
    VocabularyFit,
)
from bertwright.recipes.doctor.pair_sample import PairSample
from bertwright.recipes.doctor.survey import Survey
from bertwright.shards.format import LONGEST_SENTENCE
from bertwright.shards.write import belongs_to_held_out
from bertwright.text.characters import most, odd_characters, printable
from bertwright.text.documents import ReadReport
from bertwright.text.duplicates import NearDuplicates
from bertwright.text.lengths import Lengths
from bertwright.text.places import Places
from bertwright.text.recurring import Recurring
from bertwright.text.scripts import scripts_of
from bertwright.text.seen import SeenTexts
from bertwright.tokens.normalize import words
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.wordpiece import CONTINUATION

# A signature takes 350 bytes, and at times twice as many; comparing one takes a tenth of a millisecond in the process
# that all others wait for.
MOST_SIGNATURES = 250_000
_EXAMPLES = 5
_TOLD_LINES = 10
_TOLD_CHARACTERS = 20
_LONGEST_TOLD = 80
_RARE_PIECE = 10
# A line is boilerplate if it stands in so many documents, and in this share of them.
_RECURS = 5
_RECURS_SHARE = 0.001
# What an alphabet should cover of all characters.
_COVERED = 0.9999


class CorpusTally:
    """The sums over all documents."""

    def __init__(
        self, tokenizer: Tokenizer | None, vocab: str, *, near: bool, held_out: float, default_alphabet: int
    ) -> None:
        """`vocab` is where the tokenizer lies; `held_out` and `default_alphabet` are what later commands would take."""
        self.tokenizer, self._vocab = tokenizer, vocab
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0
        self._held_out = held_out
        self._default_alphabet = default_alphabet
        self._sentences, self._documents, self._document_sentences = Lengths(), Lengths(), Lengths()
        self._characters: Counter[int] = Counter()
        self._pieces = np.zeros(len(tokenizer.vocabulary) if tokenizer else 0, dtype=np.int64)
        self._places, self._layouts = Places(), FileLayouts()
        self._seen, self._alike = SeenTexts(), NearDuplicates() if near else None
        self._signed_places: list[int] = []
        self._exact_examples: list[tuple[int, int]] = []
        self._near_examples: list[tuple[int, int]] = []
        self._recurring = Recurring()
        self._pairs = PairSample()

    def add(self, survey: Survey, places: list[str]) -> None:
        """Add a handful of documents, given where each was found."""
        counts, size = self.counts, len(places)
        owner = np.repeat(np.arange(size), survey.sentences)
        spoken = survey.lengths > 0
        sentences = np.bincount(owner[spoken], minlength=size)
        counts["documents"] += size
        counts["paragraphs"] += int(survey.paragraphs.sum())
        counts["sentences"] += int(spoken.sum())
        counts["sentences_without_tokens"] += int((~spoken).sum())
        counts["sentences_broken"] += int((survey.lengths > LONGEST_SENTENCE).sum())
        counts["sentences_stored"] += int((-(-survey.lengths // LONGEST_SENTENCE)).sum())
        counts["single_sentence_documents"] += int((sentences == 1).sum())
        counts["documents_without_tokens"] += int((survey.tokens == 0).sum())
        counts["tokens"] += int(survey.tokens.sum())
        counts["unknown"] += int(survey.unknown.sum())
        counts["characters"] += int(survey.characters.sum())
        counts["text_bytes"] += survey.utf8_bytes
        for name, values in (("mojibake", survey.mojibake), ("markup", survey.markup)):
            counts[name] += int(values.sum())
            counts[f"{name}_documents"] += int((values > 0).sum())
        self.seconds += survey.seconds
        self._sentences.add(survey.lengths)
        self._documents.add(survey.tokens)
        self._document_sentences.add(sentences)
        self._characters.update(dict(zip(survey.code_points.tolist(), survey.code_point_counts.tolist(), strict=True)))
        self._pieces[survey.pieces] += survey.piece_counts
        numbers = [self._places.number(where) for where in places]
        self._layouts.add([where.rpartition(":")[0] for where in places], sentences, survey)
        self._one_by_one(survey, sentences, numbers)

    def _one_by_one(self, survey: Survey, sentences: np.ndarray, numbers: list[int]) -> None:
        """What must go document by document: who was there before, and what stands in many."""
        ends = np.cumsum(sentences)
        lengths = survey.lengths[survey.lengths > 0]
        rows = zip(
            survey.digests, numbers, ends.tolist(), survey.tokens.tolist(), survey.texts_by_document(), strict=True
        )
        before = 0
        for row, (digest, place, end, tokens, texts) in enumerate(rows):
            self._pairs.add(digest, lengths[before:end])
            before = end
            self.counts["held_out_documents"] += tokens > 0 and belongs_to_held_out(digest, self._held_out)
            if (first := self._seen.earlier(digest, place)) is not None:
                _keep(self._exact_examples, first, place)
                continue
            if self._alike is not None and tokens and len(self._signed_places) < MOST_SIGNATURES:
                assert survey.signatures is not None
                self.counts["compared"] += 1
                if (like := self._alike.earlier(survey.signatures[row])) is not None:
                    self.counts["near"] += 1
                    _keep(self._near_examples, self._signed_places[like], place)
                    continue
                self._signed_places.append(place)
            self._recurring.add(texts)

    def measures(self, report: ReadReport, examples: ExampleSettings) -> Measures:
        """All that was measured, after the last document."""
        counts = self.counts
        return Measures(
            unit="tokens" if self.tokenizer else "words",
            files=report.files,
            bytes_as_they_lie=report.finished_bytes,
            text_bytes=counts["text_bytes"],
            documents=counts["documents"],
            empty_documents=report.empty_documents,
            broken_documents=report.broken_documents,
            skipped=report.skipped,
            first_skipped=tuple(report.first_skipped),
            paragraphs=counts["paragraphs"],
            sentences=counts["sentences"],
            tokens=counts["tokens"],
            words=self._words(),
            characters=counts["characters"],
            unknown=counts["unknown"],
            documents_without_tokens=counts["documents_without_tokens"],
            sentences_without_tokens=counts["sentences_without_tokens"],
            sentences_broken=counts["sentences_broken"],
            sentences_stored=counts["sentences_stored"],
            single_sentence_documents=counts["single_sentence_documents"],
            # A document alone is given back: it has no negatives.
            held_out_documents=counts["held_out_documents"] if counts["held_out_documents"] > 1 else 0,
            sentence_lengths=Spread.of(self._sentences),
            document_sentences=Spread.of(self._document_sentences),
            document_lengths=Spread.of(self._documents),
            text=self._text(),
            duplicates=self._duplicates(),
            boilerplate=self._boilerplate(),
            layouts=dict(sorted(Counter(report.layouts.values()).items())),
            mistakes=self._layouts.mistakes(),
            pairs=self._pairs.pairs(examples, counts["tokens"]),
            vocabulary=self._vocabulary(),
        )

    def _words(self) -> int:
        if self.tokenizer is None:
            return self.counts["tokens"]
        begins = [not piece.startswith(CONTINUATION) for piece in self.tokenizer.vocabulary.pieces]
        return int(self._pieces[begins].sum())

    def _by_character(self) -> dict[str, int]:
        return {chr(point): count for point, count in self._characters.items() if point != ord("\n")}

    def _normalised(self) -> Counter[str]:
        """The characters that words are made of, as the tokenizer (or an uncased one) makes them."""
        switches = self.tokenizer.settings() if self.tokenizer else {}
        found: Counter[str] = Counter()
        for char, count in self._by_character().items():
            for part in itertools.chain.from_iterable(words(char, **switches)):
                found[part] += count
        return found

    def _text(self) -> Characters:
        characters, counts = self._by_character(), self.counts
        odd = odd_characters(characters)
        ordered = np.array([count for _, count in most(self._normalised(), len(characters) * 4)], dtype=np.int64)
        total = max(1, int(ordered.sum()))
        return Characters(
            distinct=len(characters),
            scripts=dict(most(scripts_of(characters), 100)),
            control=odd.control,
            replacement=odd.replacement,
            private_use=odd.private_use,
            mojibake=counts["mojibake"],
            mojibake_documents=counts["mojibake_documents"],
            markup=counts["markup"],
            markup_documents=counts["markup_documents"],
            alphabet=int(np.searchsorted(np.cumsum(ordered), _COVERED * total)) + 1,
            outside_default_alphabet=float(ordered[self._default_alphabet :].sum()) / total,
        )

    def _duplicates(self) -> Duplicates:
        def told(pairs: list[tuple[int, int]]) -> tuple[tuple[str, str], ...]:
            return tuple((self._places.tell(first), self._places.tell(again)) for first, again in pairs)

        return Duplicates(
            exact=round(self._seen.repeated_share() * self.counts["documents"]),
            exact_complete=self._seen.complete,
            exact_examples=told(self._exact_examples),
            near=None if self._alike is None else self.counts["near"],
            near_among=self.counts["compared"],
            near_examples=told(self._near_examples),
        )

    def _boilerplate(self) -> Boilerplate:
        missing, characters = self._recurring.missing, max(1, self.counts["characters"])
        least = max(_RECURS, round(_RECURS_SHARE * self.counts["documents"]), missing + 1)
        found = self._recurring.at_least(least - missing)
        lines = tuple(
            Line(text=printable(text, _LONGEST_TOLD), documents=count, share=len(text) * count / characters)
            for text, count in sorted(found, key=lambda item: (-item[1] * len(item[0]), item[0]))[:_TOLD_LINES]
        )
        share = sum(len(text) * count for text, count in found) / characters
        return Boilerplate(distinct=len(found), share=share, least=least, missing=missing, lines=lines)

    def _vocabulary(self) -> VocabularyFit | None:
        if self.tokenizer is None:
            return None
        vocabulary = self.tokenizer.vocabulary
        known = set(itertools.chain.from_iterable(piece.removeprefix(CONTINUATION) for piece in vocabulary.pieces))
        known = {char for char in known if char in vocabulary.ids or CONTINUATION + char in vocabulary.ids}
        missing = {char: count for char, count in self._normalised().items() if char not in known}
        seen = self._pieces[[number for number in range(len(vocabulary)) if number not in vocabulary.special_ids]]
        return VocabularyFit(
            where=self._vocab,
            size=len(vocabulary),
            seen=int((seen > 0).sum()),
            rare=int((seen < _RARE_PIECE).sum()),
            tokens_per_word=self.counts["tokens"] / max(1, self._words()),
            missing_characters=tuple((_named(char), count) for char, count in most(missing, _TOLD_CHARACTERS)),
        )


def _named(char: str) -> str:
    return char if char.isprintable() else f"U+{ord(char):04X}"


def _keep(examples: list[tuple[int, int]], first: int, again: int) -> None:
    if len(examples) < _EXAMPLES:
        examples.append((first, again))
