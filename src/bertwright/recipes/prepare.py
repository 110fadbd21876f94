"""Corpus -> shards: documents -> sentences -> token ids.

One process reads and writes, in order; workers do what lies between. So the bytes depend on the corpus and the settings
alone, and a run that was killed goes on from its last checkpoint to the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field

from bertwright.errors import CorpusError, OperationalFault, Stopped
from bertwright.files import refuse_existing, resumable_directory, to_json, write_atomic
from bertwright.lines import STANDARD_INPUT
from bertwright.parallel import Engine, in_order, processors
from bertwright.progress import Progress, Task
from bertwright.recipes.shards_under_way import UNFINISHED, AnotherCorpus, Preparation
from bertwright.settings import Settings
from bertwright.shards.encode import DocumentEncoder, EncodedDocuments
from bertwright.shards.format import LONGEST_SENTENCE, SHARD_FILES, Manifest
from bertwright.shards.write import TOKENS_PER_SHARD
from bertwright.text.chinese import Segmenter
from bertwright.text.documents import OnError, ReadReport, handfuls, read_documents
from bertwright.text.duplicates import Dedupe
from bertwright.text.sentences import check_language
from bertwright.tokens.layout import read_tokenizer, tokenizer_files
from bertwright.tokens.segmented import check_segmenter
from bertwright.training.signals import StopWish, stop_wishes

# What a worker gets at once: enough to be worth the way, little enough to be done in a blink.
_CHARACTERS_AT_ONCE = 1 << 20
_CHECKPOINT_SECONDS = 30.0


class PrepareSettings(Settings):
    """What the bytes of a shard directory follow from, beside the corpus and the vocabulary."""

    # Share of the documents kept aside to measure on.
    held_out: float = Field(default=0.02, ge=0, le=0.5)
    # Language code, for finding sentences.
    language: str = "en"
    # Documents to leave out: none, those that were there before, or also those that are nearly so.
    dedupe: Dedupe = "none"
    # What tells which ideographs make a word, for masking whole words.
    segmenter: Segmenter = "none"
    # Column of a table that holds the text.
    text_column: str = "text"
    # What to do with a line or row that is no document.
    on_error: OnError = "stop"
    tokens_per_shard: int = Field(default=TOKENS_PER_SHARD, ge=1)


def prepare_corpus(
    sources: Sequence[str],
    vocab: Path,
    out: Path,
    *,
    settings: PrepareSettings | None = None,
    workers: int | None = None,
    engine: Engine = "local",
    overwrite: bool = False,
    progress: Progress,
) -> Manifest:
    """Turn a corpus into a shard directory, on `workers` processes (None: one a core).

    The same corpus, vocabulary and settings give the same bytes. What an earlier run left unfinished is gone on with;
    `overwrite` also lets go of what was left of another corpus or of other settings.

    Raises CorpusError or VocabularyError, or Stopped after saving what is done.
    """
    settings = settings or PrepareSettings()
    begun = time.perf_counter()
    replaceable = (*SHARD_FILES, *UNFINISHED) if overwrite else ()
    refuse_existing(out, overwrite=replaceable)
    check_language(settings.language)
    tokenizer = read_tokenizer(vocab)
    check_segmenter(settings.segmenter, tokenizer)
    with resumable_directory(out, UNFINISHED, overwrite=replaceable, say=progress.say) as partial:
        identity = {
            "sources": list(sources),
            "vocabulary_sha256": tokenizer.vocabulary.sha256,
            "tokenizer": tokenizer.identity(),
            "settings": settings.model_dump(),
        }
        preparation = Preparation(
            partial, identity, len(tokenizer.vocabulary), settings.held_out, settings.tokens_per_shard
        )
        encoder = DocumentEncoder(tokenizer, settings.language, settings.segmenter, near=settings.dedupe == "near")

        def read(*, resume: bool) -> ReadReport:
            preparation.begin(resume=resume, anew=overwrite, dedupe=settings.dedupe, say=progress.say)
            report = ReadReport()
            documents = read_documents(sources, report, text_column=settings.text_column, on_error=settings.on_error)
            with progress.task("preparing", None, "documents") as task, stop_wishes() as wish:
                several = handfuls(preparation.skip(documents, encoder), _CHARACTERS_AT_ONCE)
                encoded = in_order(encoder, several, workers=workers or processors(), engine=engine)
                _write(preparation, encoded, report, task, wish, may_resume=may_resume)
            return report

        may_resume = STANDARD_INPUT not in sources
        try:
            report = read(resume=may_resume)
        except AnotherCorpus:
            if not overwrite:
                raise
            report = read(resume=False)
        preparation.counts["empty_documents"] = report.empty_documents
        preparation.counts["skipped"] = report.skipped
        preparation.finish()
        _refuse_small(sources, preparation)
        (partial / "tokenizer").mkdir()
        for name, content in tokenizer_files(tokenizer).items():
            write_atomic(partial / "tokenizer" / name, content)
        manifest = preparation.manifest(tokenizer.vocabulary.sha256, settings.language, settings.segmenter)
        write_atomic(partial / "manifest.json", to_json(manifest.model_dump()))
    for line in _summary(manifest, report, out, time.perf_counter() - begun):
        progress.say(line)
    return manifest


def _write(
    preparation: Preparation,
    encoded: Iterator[EncodedDocuments],
    report: ReadReport,
    task: Task,
    wish: StopWish,
    *,
    may_resume: bool,
) -> None:
    saved = begun = time.perf_counter()
    try:
        for several in encoded:
            written = [preparation.add(document) for document in several]
            now = time.perf_counter()
            figures = f"{preparation.counts['tokens']:,} tokens, {report.progress(now - begun)}"
            task.update(preparation.documents, figures)
            if wish.signal_number is not None:
                raise Stopped("", wish.signal_number)
            if may_resume and (any(written) or now - saved > _CHECKPOINT_SECONDS):
                preparation.save()
                saved = time.perf_counter()
    except OperationalFault:
        # A scheduler tells the workers to end too, and then one that is gone is no fault.
        if wish.signal_number is None:
            raise
        how = "; standard input cannot be read again"
        if may_resume:
            preparation.save()
            how = " and saved; the same command goes on from there"
        raise Stopped(f"stopped after {preparation.documents:,} documents{how}", wish.signal_number) from None


def _refuse_small(sources: Sequence[str], preparation: Preparation) -> None:
    where = " ".join(sources)
    documents, aside = preparation.train.documents, preparation.aside.documents
    if not preparation.documents:
        raise CorpusError("the corpus is empty: there is no text in it", where=where)
    if documents < 2 and aside:
        what = f"{documents + aside} documents are too few to keep some aside: {documents} would be left to train on"
        raise CorpusError(what, where=where, cure="give more documents, or --held-out 0")
    if not documents:
        raise CorpusError("the corpus is empty: none of its documents holds a token", where=where)
    if documents == 1:
        cure = "part its documents by blank lines (.txt), or give one object a document (.jsonl)"
        what = "the corpus is a single document, and next-sentence negatives come from another one"
        raise CorpusError(what, where=where, cure=cure)


def _summary(manifest: Manifest, report: ReadReport, out: Path, seconds: float) -> Iterator[str]:
    counts = manifest.counts
    unknown = counts["unknown_tokens"] / max(1, counts["tokens"])
    what = f"{counts['documents']:,} documents, {counts['sentences']:,} sentences, {counts['tokens']:,} tokens"
    yield f"{what}, {unknown:.2%} [UNK] -> {out}"
    rate = counts["tokens"] / seconds
    size = f"{report.read_bytes / 1e6:,.1f} MB as they lie, " if report.read_bytes else ""
    yield f"{report.files:,} file(s), {size}in {seconds:,.1f} s: {rate:,.0f} tokens/s"
    if not counts["held_out_documents"] and manifest.held_out_fraction:
        yield "held out: none, the corpus has too few documents; raise --held-out to measure on unseen text"
    else:
        yield f"held out: {counts['held_out_documents']:,} of the documents"
    for layout in sorted(set(report.layouts.values())):
        files = sum(1 for found in report.layouts.values() if found == layout)
        what = "sentences that end with their line" if layout == "sentences" else "prose"
        yield f"{files:,} .txt file(s) read as {what}, a blank line between documents"
    for name, what in _DROPPED:
        if counts[name]:
            yield f"{counts[name]:,} {what}"
    if passed_over := report.passed_over_told():
        yield passed_over
    if report.broken_documents:
        yield f"{report.broken_documents:,} documents broken where they grew too long for the memory (nothing lost)"
    yield from (f"  {message}" for message in report.first_skipped)


_DROPPED = (
    ("empty_documents", "documents without text, passed over"),
    ("documents_without_tokens", "documents without a token, passed over"),
    ("exact_duplicates", "documents that were there before, left out"),
    ("near_duplicates", "documents nearly equal to one before, left out"),
    ("duplicate_tokens", "tokens were in those documents"),
    ("sentences_without_tokens", "sentences without a token, passed over"),
    ("sentences_broken", f"sentences longer than {LONGEST_SENTENCE} tokens, broken there (nothing lost)"),
    ("skipped", "lines or rows that are no documents, skipped; the first of them:"),
)
