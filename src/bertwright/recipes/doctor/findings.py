"""What will go wrong with a corpus, how much of it, and what to do: the doctor's findings, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bertwright.recipes.doctor.estimates import PAPER_VOCABULARY
from bertwright.recipes.doctor.measures import Measures, Mistake
from bertwright.recipes.vocabulary import ALPHABET
from bertwright.shards.format import LONGEST_SENTENCE
from bertwright.text.documents import LONGEST_DOCUMENT
from bertwright.text.scripts import language_of, scripts_of_language

Grade = Literal["error", "warning", "note"]
_GRADES: tuple[Grade, ...] = ("error", "warning", "note")

# From which share of the documents, tokens or characters on a finding is a note, and from which a warning.
_SINGLE = (0.2, 0.5)
_DUPLICATES = (0.001, 0.01)
_BOILERPLATE = (0.005, 0.02)
_UNKNOWN = (0.001, 0.01)
_OUTSIDE_ALPHABET = (0.001, 0.01)
_SKIPPED = (0.0, 0.01)
_EMPTY = (0.01, 0.1)
_MOJIBAKE = (0.001, 0.01)
_MARKUP = (0.005, 0.05)
_REPLACEMENT = (1e-6, 1e-4)
_CONTROL = (1e-5, 1e-3)
_BROKEN_SENTENCES = (0.005, 0.02)
# Share of each example that is padding.
_PADDING = (0.2, 0.4)
# Tokens a word beyond the first: 0.2 to 0.4 where a vocabulary fits its text.
_EXTRA_PIECES = (0.5, 1.0)
# Letters of another script than the language has.
_FOREIGN = 0.5
# Tokens: below the one not even bert-tiny learns much; below the other a released model is the better start.
_TINY_CORPUS, _SMALL_CORPUS = 1_000_000, 100_000_000
# How often a piece should be met to be learned, and the share of pieces that may be met less than ten times.
_MEETINGS = 200
_RARE_PIECES = 0.5
# Held-out documents below which a score is a matter of chance.
_FEW_HELD_OUT = 20
# Share of true pairs below which the original code would be told about.
_UNBALANCED = 0.4


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what and how much, and what to do.

    An error is refused by a later command or makes its result worthless; a warning costs quality; a note is good to
    know. `share` is how much of the corpus is concerned, and orders findings of one grade.
    """

    grade: Grade
    name: str
    what: str
    cure: str
    share: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What the user means to do with the corpus, as far as findings depend on it."""

    corpus: str
    language: str
    text_column: str
    held_out: float
    max_length: int
    epochs: int
    recipe_steps: int
    recipe_batch: int


def find(measures: Measures, course: Course) -> list[Finding]:
    """All findings, by grade and then by how much of the corpus is concerned."""
    rules = (_documents, _layout, _repeats, _characters, _language, _vocabulary, _lengths, _size)
    found = [finding for rule in rules for finding in rule(measures, course)]
    return sorted(found, key=lambda finding: (_GRADES.index(finding.grade), -finding.share, finding.name))


def _graded(share: float, limits: tuple[float, float]) -> Grade | None:
    if share >= limits[1]:
        return "warning"
    return "note" if share >= limits[0] and share > 0 else None


def _documents(m: Measures, course: Course) -> Iterator[Finding]:
    spoken = m.documents - m.documents_without_tokens
    if spoken < 2:
        yield Finding(
            "error",
            "a single document",
            "the corpus is one document: next-sentence negatives come from another one, and `prepare` refuses it",
            "part its documents by blank lines (.txt), or give one object a document (.jsonl)",
            1.0,
        )
    elif not m.held_out_documents:
        yield Finding(
            "warning",
            "nothing held out",
            f"of {m.documents:,} documents none is kept aside with --held-out {course.held_out}: nothing to measure on",
            "bertwright prepare ... --held-out 0.1, or more documents",
        )
    elif m.held_out_documents < _FEW_HELD_OUT:
        yield Finding(
            "note",
            "few held out",
            f"{m.held_out_documents:,} documents are kept aside with --held-out {course.held_out}: scores will waver",
            "bertwright prepare ... --held-out 0.1",
        )
    skipped = m.skipped / max(1, m.skipped + m.documents)
    if grade := _graded(skipped, _SKIPPED):
        yield Finding(
            grade,
            "unreadable lines",
            f"{m.skipped:,} lines or rows are no documents ({skipped:.2%}), the first: {m.first_skipped[0]}",
            "mend them; `prepare` stops at the first one, or passes over them with --on-error skip",
            skipped,
        )
    empty = m.empty_documents / max(1, m.empty_documents + m.documents)
    if grade := _graded(empty, _EMPTY):
        what = f"{m.empty_documents:,} rows hold no text ({empty:.1%})"
        yield Finding(grade, "empty documents", what, "nothing needs to be done: they are passed over", empty)
    if m.broken_documents:
        yield Finding(
            "warning",
            "documents without end",
            f"{m.broken_documents:,} times no document ended within {LONGEST_DOCUMENT >> 20} million characters, and "
            "it was broken there",
            "put a blank line between documents",
            m.share(m.broken_documents),
        )


def _layout(m: Measures, course: Course) -> Iterator[Finding]:
    for mistake in m.mistakes:
        yield _mistake(mistake, m, course)
    # What follows from a mistake is not told beside it.
    concerned = sum(mistake.documents for mistake in m.mistakes) > 0.5 * m.documents
    share = m.share(m.single_sentence_documents)
    if not concerned and m.documents > 1 and (grade := _graded(share, _SINGLE)):
        yield Finding(
            grade,
            "single-sentence documents",
            f"{m.single_sentence_documents:,} of {m.documents:,} documents are a single sentence ({share:.1%}): their "
            "next-sentence pairs are the two halves of a sentence, and the original code makes none of them",
            "join what belongs together, or leave the pairs away: "
            "--set examples.segments=none --set examples.too_long=carry",
            share,
        )
    if m.pairs and m.pairs.original_is_next < _UNBALANCED:
        yield Finding(
            "note",
            "next sentences elsewhere",
            f"the original code would make {m.pairs.original_is_next:.1%} true pairs of this corpus, for it makes a "
            f"negative of every single sentence; here they are dealt, {m.pairs.is_next:.1%}",
            "nothing needs to be done here; with the original code, NSP would be guessed by always saying no",
        )
    if not concerned and m.pairs and (grade := _graded(1 - m.pairs.fill, _PADDING)):
        yield Finding(
            grade,
            "examples are not full",
            f"with the paper's recipes, examples fill {m.pairs.fill:.0%} of {course.max_length} tokens; the rest is "
            f"computed for nothing: documents are short ({m.document_lengths.median:,} {m.unit} in the middle)",
            f"--set examples.packed=true --set examples.too_long=carry: {m.pairs.packed_fill:.0%}, and "
            f"{m.pairs.packed_examples / m.pairs.examples:.0%} of the time",
            1 - m.pairs.fill,
        )


def _mistake(mistake: Mistake, m: Measures, course: Course) -> Finding:
    files = f"{mistake.examples[0]}" + (f" and {mistake.files - 1:,} more files" if mistake.files > 1 else "")
    share = m.share(mistake.documents)
    if mistake.name == "no blank line":
        return Finding(
            "warning",
            mistake.name,
            f"{files}: one document from the first line to the last (the longest of all has "
            f"{m.document_sentences.longest:,} sentences); a next-sentence negative comes from another document",
            "put a blank line between documents, if it is more than one",
            m.document_lengths.longest / max(1, m.tokens),
        )
    runs = "running text (or a list sorted by subject), for each shares rare words with the next"
    if mistake.name == "blank line after every paragraph":
        return Finding(
            "warning",
            mistake.name,
            f"{files}: {mistake.documents:,} documents, which look like the paragraphs of longer ones: they are short "
            "and share rare words with the next; a sentence has a true next one within its paragraph only",
            "leave blank lines between documents only, a paragraph a line; or give one object a document (.jsonl)",
            share,
        )
    if mistake.name == "a row for every sentence":
        what = f"{files}: {mistake.documents:,} rows, nearly all of one sentence, and they are {runs}"
        cure = f'put all sentences of a document into one row: {{"{course.text_column}": "First. Second. ..."}}'
    else:
        what = f"{files}: a blank line follows every sentence, and they are {runs}: {mistake.documents:,} documents"
        cure = (
            "leave blank lines between documents only; if nobody knows any more where those end, one after every 30 "
            "sentences is better than this: "
            f"awk 'NF {{print}} NF && ++n % 30 == 0 {{print \"\"}}' {mistake.examples[0]}"
        )
    return Finding("warning", mistake.name, f"{what}, so that no sentence has a true next one", cure, share)


def _repeats(m: Measures, course: Course) -> Iterator[Finding]:
    del course
    found = m.duplicates
    exact = m.share(found.exact)
    if grade := _graded(exact, _DUPLICATES):
        about = "" if found.exact_complete else "about "
        yield Finding(
            grade,
            "duplicates",
            f"{about}{found.exact:,} documents were there before, word for word ({exact:.2%})"
            + _pair(found.exact_examples),
            "bertwright prepare ... --dedupe exact",
            exact,
        )
    if found.near is None:
        yield Finding(
            "note",
            "near duplicates unknown",
            "nearly equal documents were not looked for, as rensa is not installed",
            "pip install 'bertwright[near]'",
        )
    elif grade := _graded(near := found.near / max(1, found.near_among), _DUPLICATES):
        among = "" if found.near_among + found.exact >= m.documents else f" of the first {found.near_among:,}"
        yield Finding(
            grade,
            "near duplicates",
            f"{found.near:,} documents{among} are nearly equal to an earlier one ({near:.2%})"
            + _pair(found.near_examples),
            "bertwright prepare ... --dedupe near",
            near,
        )
    if m.boilerplate.lines and (grade := _graded(m.boilerplate.share, _BOILERPLATE)):
        first = m.boilerplate.lines[0]
        yield Finding(
            grade,
            "boilerplate",
            f"{m.boilerplate.distinct:,} lines stand in {m.boilerplate.least:,} documents or more each, "
            f"{m.boilerplate.share:.1%} of the text; in {first.documents:,} documents: {first.text!r}",
            "remove them from the texts before preparing: a model learns them by heart",
            m.boilerplate.share,
        )


def _pair(examples: tuple[tuple[str, str], ...]) -> str:
    return f", as {examples[0][0]} and {examples[0][1]}" if examples else ""


def _characters(m: Measures, course: Course) -> Iterator[Finding]:
    del course
    text, characters = m.text, max(1, m.characters)
    wrong = m.share(text.mojibake_documents)
    if grade := _graded(wrong, _MOJIBAKE):
        yield Finding(
            grade,
            "wrong encoding",
            f"{text.mojibake_documents:,} documents hold text that was read in the wrong encoding, as Ã© for é "
            f"({wrong:.2%}, {text.mojibake:,} times)",
            "convert from the source again, or mend with the library ftfy",
            wrong,
        )
    if grade := _graded(text.replacement / characters, _REPLACEMENT):
        yield Finding(
            grade,
            "lost characters",
            f"the replacement character U+FFFD stands there {text.replacement:,} times: what it replaces is lost",
            "convert from the source again, naming its true encoding",
            text.replacement / characters,
        )
    marked = m.share(text.markup_documents)
    if grade := _graded(marked, _MARKUP):
        yield Finding(
            grade,
            "HTML",
            f"{text.markup_documents:,} documents hold HTML tags or character references ({marked:.1%}, "
            f"{text.markup:,} of them), each several tokens",
            "take the text out of the HTML first, with a library such as trafilatura or lxml",
            marked,
        )
    if grade := _graded(text.control / characters, _CONTROL):
        what = f"{text.control:,} control characters stand in the text"
        cure = "nothing needs to be done: the tokenizer drops them; but look where they come from"
        yield Finding(grade, "control characters", what, cure, text.control / characters)


def _language(m: Measures, course: Course) -> Iterator[Finding]:
    letters = sum(m.text.scripts.values())
    expected = scripts_of_language(course.language)
    if not letters or expected is None:
        return
    foreign = 1 - sum(m.text.scripts.get(script, 0) for script in expected) / letters
    if foreign > _FOREIGN:
        script = next(iter(m.text.scripts))
        other = language_of(m.text.scripts)
        yield Finding(
            "warning",
            "another language",
            f"--language is {course.language}, but {m.text.scripts[script] / letters:.0%} of the letters are {script}: "
            "sentences are found by the wrong rules",
            f"--language {other}, here and for prepare" if other else "give --language, here and for prepare",
            foreign,
        )


def _vocabulary(m: Measures, course: Course) -> Iterator[Finding]:
    learn = f"bertwright vocab {course.corpus}"
    fit = m.vocabulary
    if fit is None:
        outside = m.text.outside_default_alphabet
        if grade := _graded(outside, _OUTSIDE_ALPHABET):
            yield Finding(
                grade,
                "a large alphabet",
                f"`vocab` keeps {ALPHABET:,} characters unless told otherwise, and {outside:.2%} of the text lies "
                "outside them: those words would be [UNK]",
                f"{learn} --alphabet {_rounded(m.text.alphabet)}",
                outside,
            )
        if m.words < _MEETINGS * PAPER_VOCABULARY:
            yield Finding(
                "note",
                "little text for a vocabulary",
                f"{m.words:,} words for the usual {PAPER_VOCABULARY:,} pieces: each would be met some "
                f"{m.words / PAPER_VOCABULARY:,.0f} times",
                f"{learn} --size {_fitting_size(m.words)}, or the vocabulary of a released model",
            )
        return
    unknown = m.unknown / max(1, m.tokens)
    if grade := _graded(unknown, _UNKNOWN):
        missing = " ".join(char for char, _ in fit.missing_characters[:8])
        yield Finding(
            grade,
            "[UNK]",
            f"{unknown:.2%} of the tokens are [UNK]" + (f"; characters without a piece: {missing}" if missing else ""),
            f"a vocabulary of this text: {learn} --alphabet {_rounded(m.text.alphabet)}",
            unknown,
        )
    extra = fit.tokens_per_word - 1
    if grade := _graded(extra, _EXTRA_PIECES):
        yield Finding(
            grade,
            "words in many pieces",
            f"a word takes {fit.tokens_per_word:.2f} tokens: the vocabulary was learned from other text",
            f"{learn}, or bertwright vocab extend MODEL {course.corpus} where a model is to be kept",
            min(1.0, extra),
        )
    if fit.rare > _RARE_PIECES * fit.size and unknown < _UNKNOWN[1]:
        fitting = _fitting_size(m.words)
        yield Finding(
            "note",
            "pieces hardly met",
            f"{fit.rare:,} of {fit.size:,} pieces are met fewer than ten times: too few to be learned well",
            "start from the model that the vocabulary is of"
            + (f", or learn a smaller one: {learn} --size {fitting}" if fitting < fit.size else ", or give more text"),
        )


def _lengths(m: Measures, course: Course) -> Iterator[Finding]:
    broken = m.sentences_broken / max(1, m.sentences)
    if grade := _graded(broken, _BROKEN_SENTENCES):
        yield Finding(
            grade,
            "long sentences",
            f"{m.sentences_broken:,} sentences are longer than {LONGEST_SENTENCE} {m.unit} and will be broken "
            f"({broken:.1%}); the longest has {m.sentence_lengths.longest:,}",
            f"look whether --language {course.language} is right, and for tables, lists and text without full stops",
            broken,
        )


def _size(m: Measures, course: Course) -> Iterator[Finding]:
    if m.tokens < _SMALL_CORPUS:
        yield Finding(
            "warning" if m.tokens < _TINY_CORPUS else "note",
            "little text",
            f"{m.tokens:,} {m.unit} are little to pretrain on from nothing (the paper had 3,300,000,000 words)",
            "more text, or start from a released model: bertwright pretrain RECIPE --data SHARDS --init MODEL",
            1 - m.tokens / _SMALL_CORPUS,
        )
    if m.pairs:
        passes = course.recipe_steps * course.recipe_batch / m.pairs.examples
        if passes > 2 * course.epochs:
            steps = -(-course.epochs * m.pairs.examples // course.recipe_batch)
            yield Finding(
                "note",
                "more steps than text",
                f"the paper's {course.recipe_steps:,} steps of {course.recipe_batch} would go over this corpus "
                f"{passes:,.0f} times",
                f"--set training.steps={steps} for {course.epochs} epochs",
            )


def _fitting_size(words: int) -> int:
    """Pieces that are met often enough each: a whole thousand, from 1,000 to the paper's number."""
    return max(1000, min(PAPER_VOCABULARY, words // _MEETINGS // 1000 * 1000))


def _rounded(alphabet: int) -> int:
    return -(-alphabet // 500) * 500
