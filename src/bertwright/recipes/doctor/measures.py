"""What the doctor measures of a corpus, in plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bertwright.text.lengths import Lengths

Unit = Literal["tokens", "words"]
# Layout mistakes: sentences or paragraphs parted by blank lines; rows that are sentences; a text that parts nothing.
MistakeName = Literal[
    "blank line after every sentence", "blank line after every paragraph", "a row for every sentence", "no blank line"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """How long things are; `histogram` is (shortest, longest, how many) by doublings."""

    count: int
    mean: float
    median: int
    p95: int
    longest: int
    histogram: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, lengths: Lengths) -> Spread:
        """The numbers of what was counted."""
        return cls(
            count=lengths.count,
            mean=lengths.mean,
            median=lengths.quantile(0.5),
            p95=lengths.quantile(0.95),
            longest=lengths.longest,
            histogram=tuple(lengths.histogram()),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Characters:
    """What the characters tell. `alphabet` is how many make up all but 1 in 10,000 of those that words are made of."""

    distinct: int
    scripts: dict[str, int]
    control: int
    replacement: int
    private_use: int
    mojibake: int
    mojibake_documents: int
    markup: int
    markup_documents: int
    alphabet: int
    # Share of the characters that lie outside the alphabet that `vocab` keeps by default.
    outside_default_alphabet: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicates:
    """Documents that were there before. `exact` is an estimate where not `exact_complete`; examples are places.

    `near` is None without the library for it; only the first `near_among` documents were compared.
    """

    exact: int
    exact_complete: bool
    exact_examples: tuple[tuple[str, str], ...]
    near: int | None
    near_among: int
    near_examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line or sentence that stands in many documents, and the share of the text that it is."""

    text: str
    documents: int
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Boilerplate:
    """Lines in `least` documents or more; a count may be too low by `missing`. `share` is that of all of them."""

    distinct: int
    share: float
    least: int
    missing: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """Files whose layout parts documents where it should not, or does not where it should."""

    name: MistakeName
    files: int
    documents: int
    examples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """Pretraining examples of an epoch, drawn from `documents` of the corpus and told for all of it.

    `is_next` is the share of true next sentences that pretraining here deals, `original_is_next` that of the original
    code. `fill` is how full examples are with the paper's recipes, and `lost` the share of the text that these trim
    away; `packed_examples` and `packed_fill` say what becomes of it where examples are packed and nothing is trimmed.
    """

    documents: int
    examples: int
    is_next: float
    original_is_next: float
    fill: float
    lost: float
    packed_examples: int
    packed_fill: float


@dataclass(frozen=True, kw_only=True, slots=True)
class VocabularyFit:
    """How a vocabulary fits the text. `rare` pieces were met fewer than ten times, `seen` ones at all."""

    where: str
    size: int
    seen: int
    rare: int
    tokens_per_word: float
    # Characters that no piece holds, with how often they stand there.
    missing_characters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """All that was measured; `unit` says whether `tokens` and lengths are counted in tokens or in words."""

    unit: Unit
    files: int
    bytes_as_they_lie: int
    text_bytes: int
    documents: int
    empty_documents: int
    broken_documents: int
    skipped: int
    first_skipped: tuple[str, ...]
    paragraphs: int
    sentences: int
    tokens: int
    words: int
    characters: int
    unknown: int
    documents_without_tokens: int
    sentences_without_tokens: int
    sentences_broken: int
    # Sentences as shards have them: long ones broken.
    sentences_stored: int
    single_sentence_documents: int
    # Documents that `prepare` would keep aside by its default.
    held_out_documents: int
    sentence_lengths: Spread
    document_sentences: Spread
    document_lengths: Spread
    text: Characters
    duplicates: Duplicates
    boilerplate: Boilerplate
    layouts: dict[str, int]
    mistakes: tuple[Mistake, ...]
    pairs: Pairs | None
    vocabulary: VocabularyFit | None

    def share(self, documents: int) -> float:
        """So many documents as a share of all."""
        return documents / max(1, self.documents)
