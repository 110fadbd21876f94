"""A diagnosis as tables of words and figures, for the terminal and for a page alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bertwright.recipes.doctor.diagnosis import Diagnosis
from bertwright.recipes.doctor.estimates import Timing
from bertwright.recipes.doctor.measures import Measures
from bertwright.shards.format import LONGEST_SENTENCE

_SHOWN_SCRIPTS = 8
_LEAST_SCRIPT = 0.0001


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table; `header` may be empty. The first column is words, the others are figures."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(diagnosis: Diagnosis) -> list[Table]:
    """All tables but those of lengths and findings, in the order in which one wants to know."""
    m = diagnosis.measures
    found = [
        Table("Corpus", (), tuple(_corpus(m))),
        Table("Text", (), tuple(_text(m))),
        Table("Scripts", (), tuple(_scripts(m))),
        Table(f"Examples of {diagnosis.max_length} tokens", (), tuple(_examples(m))),
        Table("Size and time on this machine", (), tuple(_costs(diagnosis))),
    ]
    if diagnosis.timing:
        found.append(_presets(diagnosis.timing))
    if m.boilerplate.lines:
        rows = tuple((line.text, f"{line.documents:,}", f"{line.share:.2%}") for line in m.boilerplate.lines)
        found.append(Table("Lines in many documents", ("line", "documents", "of the text"), rows))
    return [table for table in found if table.rows]


def headline(diagnosis: Diagnosis) -> str:
    """What all findings come to."""
    graver = [finding for finding in diagnosis.findings if finding.grade != "note"]
    if not graver:
        return "nothing wrong found"
    errors = sum(1 for finding in graver if finding.grade == "error")
    parts = [_counted(errors, "error"), _counted(len(graver) - errors, "warning")]
    return " and ".join(part for part in parts if part)


def about(seconds: float) -> str:
    """A time as one says it: two figures and a unit."""
    for unit, size, most in (("s", 1, 60), ("min", 60, 60), ("h", 3600, 24), ("days", 86400, 365)):
        if seconds < size * most:
            value = seconds / size
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"
    return f"{seconds / (365 * 86400):,.1f} years"


def scripts_shown(measures: Measures) -> list[tuple[str, int, float]]:
    """The scripts worth telling: letters, and their share of all."""
    letters = max(1, sum(measures.text.scripts.values()))
    shown = [(script, count, count / letters) for script, count in measures.text.scripts.items()]
    return [row for row in shown if row[2] >= _LEAST_SCRIPT][:_SHOWN_SCRIPTS]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}" if number else ""


def _corpus(m: Measures) -> Iterator[tuple[str, ...]]:
    lie = f"{m.bytes_as_they_lie / 1e6:,.1f} MB as they lie, " if m.bytes_as_they_lie else ""
    yield "files", f"{m.files:,}", f"{lie}{m.text_bytes / 1e6:,.1f} MB of text"
    for layout, count in m.layouts.items():
        what = "sentences that end with their line" if layout == "sentences" else "prose"
        yield f"  .txt read as {what}", f"{count:,}"
    yield "documents", f"{m.documents:,}"
    yield "  of a single sentence", f"{m.single_sentence_documents:,}", f"{m.share(m.single_sentence_documents):.1%}"
    if m.empty_documents:
        yield "  without text, passed over", f"{m.empty_documents:,}"
    if m.skipped:
        yield "  lines or rows that are none, skipped", f"{m.skipped:,}"
    if m.broken_documents:
        yield "  broken where they grew too long", f"{m.broken_documents:,}"
    yield "paragraphs", f"{m.paragraphs:,}"
    yield "sentences", f"{m.sentences:,}"
    yield f"  of more than {LONGEST_SENTENCE} {m.unit}, to be broken", f"{m.sentences_broken:,}"
    if m.unit == "words":
        yield "words (--vocab gives tokens and [UNK])", f"{m.words:,}"
    else:
        yield "tokens", f"{m.tokens:,}"
        yield "words", f"{m.words:,}", f"{m.tokens / max(1, m.words):.2f} tokens each"
    yield "characters", f"{m.characters:,}"


def _text(m: Measures) -> Iterator[tuple[str, ...]]:
    if fit := m.vocabulary:
        yield "[UNK]", f"{m.unknown:,}", f"{m.unknown / max(1, m.tokens):.3%} of the tokens"
        if fit.missing_characters:
            shown = "  ".join(f"{char} {count:,}" for char, count in fit.missing_characters[:8])
            yield "  characters without a piece", "", shown
        yield "pieces met", f"{fit.seen:,}", f"of {fit.size:,}; {fit.rare:,} fewer than ten times"
    yield "distinct characters", f"{m.text.distinct:,}", f"an alphabet of {m.text.alphabet:,} covers 99.99%"
    same = m.duplicates
    about_ = "" if same.exact_complete else ", estimated"
    yield "documents there before, word for word", f"{same.exact:,}", f"{m.share(same.exact):.2%}{about_}"
    for first, again in same.exact_examples:
        yield "", "", f"{first} = {again}"
    if same.near is None:
        yield "nearly equal documents", "?", "pip install 'bertwright[near]' to look for them"
    else:
        share = same.near / max(1, same.near_among)
        yield "nearly equal documents", f"{same.near:,}", f"{share:.2%} of {same.near_among:,} compared"
        for first, again in same.near_examples:
            yield "", "", f"{first} ~ {again}"
    lines = m.boilerplate
    yield (
        "boilerplate lines",
        f"{lines.distinct:,}",
        f"{lines.share:.2%} of the text, each in {lines.least:,} documents or more",
    )
    yield "documents with HTML", f"{m.text.markup_documents:,}", f"{m.share(m.text.markup_documents):.2%}"
    wrong = m.text.mojibake_documents
    yield "documents in a wrong encoding", f"{wrong:,}", f"{m.share(wrong):.2%}"
    if m.text.replacement:
        yield "characters lost (U+FFFD)", f"{m.text.replacement:,}"
    if m.text.control:
        yield "control characters", f"{m.text.control:,}"
    if m.text.private_use:
        yield "private or unassigned characters", f"{m.text.private_use:,}"


def _scripts(m: Measures) -> Iterator[tuple[str, ...]]:
    for script, count, share in scripts_shown(m):
        yield script, f"{count:,}", f"{share:.2%} of the letters"


def _examples(m: Measures) -> Iterator[tuple[str, ...]]:
    pairs = m.pairs
    if pairs is None:
        return
    drawn = "" if pairs.documents == m.documents else f", told from {pairs.documents:,} documents"
    counted = "" if m.unit == "tokens" else ", in words: more in tokens"
    yield "in an epoch of the paper's recipes", f"{pairs.examples:,}", f"{pairs.fill:.1%} full{drawn}{counted}"
    yield "  text trimmed away", f"{pairs.lost:.1%}", "other text in each epoch"
    yield "  packed, and nothing trimmed", f"{pairs.packed_examples:,}", f"{pairs.packed_fill:.1%} full"
    yield "true next sentences", f"{pairs.is_next:.1%}", "labels are dealt in pairs, here"
    yield "  with the original code", f"{pairs.original_is_next:.1%}", "a single sentence is always a negative there"
    yield "documents held out", f"{m.held_out_documents:,}", "by the default of prepare"


def _costs(diagnosis: Diagnosis) -> Iterator[tuple[str, ...]]:
    m = diagnosis.measures
    how = "" if m.vocabulary else ", at a token a word and fewer than 65,536 pieces"
    yield "shards", f"{diagnosis.shard_bytes / 1e6:,.1f} MB", f"about{how}"
    if (timing := diagnosis.timing) is None:
        return
    rate = f"about, on one core: {timing.prepare_bytes_per_second / 1e6:,.1f} MB of text a second"
    yield "preparing", about(timing.prepare_seconds_one_core), rate
    if timing.cores > 1:
        yield "", about(timing.prepare_seconds_all_cores), f"on {timing.cores} cores"
    for speed in timing.speeds:
        threads = f", {speed.threads} thread(s)" if timing.device == "CPU" else ""
        busy = ": other work keeps the cores busy" if speed.busy else ""
        what = f"training {speed.preset}, {speed.batch_size} examples a step, {timing.precision} on {timing.device}"
        yield "measured", f"{speed.operations_per_second / 1e9:,.0f} GFLOP/s", what + threads + busy


def _presets(timing: Timing) -> Table:
    rows = tuple(
        (
            row.preset,
            f"{row.parameters / 1e6:,.1f} M",
            f"{row.tokens_per_parameter:.2g}",
            about(row.epoch_seconds),
            about(row.epochs_seconds),
            f"{row.steps:,}",
        )
        for row in timing.presets
    )
    epochs, size = f"{timing.epochs} epochs", f"steps of {timing.batch_size}"
    return Table("Pretraining, about", ("", "parameters", "tokens/parameter", "an epoch", epochs, size), rows)
