"""Corpus -> shards: documents -> sentences -> token ids."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bertwright.errors import CorpusError
from bertwright.files import new_directory, refuse_existing, to_json, write_atomic
from bertwright.progress import Progress
from bertwright.shards.format import LONGEST_SENTENCE, SHARD_FILES, Manifest
from bertwright.shards.write import TOKENS_PER_SHARD, ShardWriter, belongs_to_held_out
from bertwright.text.documents import Document, ReadReport, read_documents
from bertwright.text.sentences import check_language, split_sentences
from bertwright.tokens.layout import read_tokenizer, tokenizer_files
from bertwright.tokens.tokenizer import Tokenizer

_REPORT_EVERY = 50


def prepare_corpus(
    sources: Sequence[str],
    vocab: Path,
    out: Path,
    *,
    held_out: float = 0.02,
    language: str = "en",
    tokens_per_shard: int = TOKENS_PER_SHARD,
    overwrite: bool = False,
    progress: Progress,
) -> Manifest:
    """Turn a corpus into a shard directory; a share `held_out` of its documents is kept aside to measure on.

    The same corpus and vocabulary give the same bytes. Raises CorpusError or VocabularyError.
    """
    replaceable = SHARD_FILES if overwrite else ()
    refuse_existing(out, overwrite=replaceable)
    check_language(language)
    tokenizer = read_tokenizer(vocab)
    size = len(tokenizer.vocabulary)
    counts: Counter[str] = Counter()
    report = ReadReport()
    corpus_hash = hashlib.sha256()
    with new_directory(out, overwrite=replaceable, say=progress.say) as partial:
        train = ShardWriter(partial, "train", size, tokens_per_shard)
        aside = ShardWriter(partial, "held_out", size, tokens_per_shard)
        # One document alone cannot be measured on, having no negatives: the first waits for a second.
        waiting: list[list[list[int]]] = []
        with progress.task("preparing", None, "documents") as task:
            for document in read_documents(sources, report):
                counts["documents"] += 1
                corpus_hash.update("\n\n".join(document.paragraphs).encode() + b"\0")
                sentences = document_ids(document, tokenizer, language, counts)
                if counts["documents"] % _REPORT_EVERY == 0:
                    task.update(counts["documents"], f"{counts['tokens']:,} tokens")
                if not sentences:
                    counts["documents_without_tokens"] += 1
                elif not belongs_to_held_out(document.paragraphs, held_out):
                    train.add(sentences)
                elif aside.documents or waiting:
                    for one in [*waiting, sentences]:
                        aside.add(one)
                    waiting = []
                else:
                    waiting = [sentences]
        for one in waiting:
            train.add(one)
        counts["empty_documents"] = report.empty_documents
        _refuse_small(sources, train.documents, aside.documents, counts)
        (partial / "tokenizer").mkdir()
        for name, content in tokenizer_files(tokenizer).items():
            write_atomic(partial / "tokenizer" / name, content)
        manifest = Manifest(
            vocabulary_sha256=tokenizer.vocabulary.sha256,
            vocabulary_size=size,
            corpus_sha256=corpus_hash.hexdigest(),
            language=language,
            held_out_fraction=held_out,
            counts={
                **{name: counts[name] for name in _COUNTED},
                "train_documents": train.documents,
                "held_out_documents": aside.documents,
            },
            shards=train.close() + aside.close(),
        )
        write_atomic(partial / "manifest.json", to_json(manifest.model_dump()))
    for line in _summary(manifest, report, out):
        progress.say(line)
    return manifest


_COUNTED = (
    "documents",
    "sentences",
    "tokens",
    "unknown_tokens",
    "empty_documents",
    "documents_without_tokens",
    "sentences_without_tokens",
    "sentences_broken",
)


def document_ids(document: Document, tokenizer: Tokenizer, language: str, counts: Counter[str]) -> list[list[int]]:
    """The sentences of a document as ids, none empty and none longer than LONGEST_SENTENCE; what happens is counted."""
    found = []
    for paragraph in document.paragraphs:
        for sentence in split_sentences(paragraph, language):
            ids = tokenizer.ids(sentence)
            counts["tokens"] += len(ids)
            counts["unknown_tokens"] += ids.count(tokenizer.vocabulary.unk_id)
            if not ids:
                counts["sentences_without_tokens"] += 1
            elif len(ids) > LONGEST_SENTENCE:
                counts["sentences_broken"] += 1
            found += [ids[start : start + LONGEST_SENTENCE] for start in range(0, len(ids), LONGEST_SENTENCE)]
    counts["sentences"] += len(found)
    return found


def _refuse_small(sources: Sequence[str], documents: int, aside: int, counts: Counter[str]) -> None:
    where = " ".join(sources)
    if not counts["documents"]:
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


def _summary(manifest: Manifest, report: ReadReport, out: Path) -> list[str]:
    counts = manifest.counts
    unknown = counts["unknown_tokens"] / max(1, counts["tokens"])
    what = f"{counts['documents']:,} documents, {counts['sentences']:,} sentences, {counts['tokens']:,} tokens"
    lines = [f"{what}, {unknown:.2%} [UNK] -> {out}"]
    if not counts["held_out_documents"] and manifest.held_out_fraction:
        lines.append("held out: none, the corpus has too few documents; raise --held-out to measure on unseen text")
    else:
        lines.append(f"held out: {counts['held_out_documents']:,} of the documents")
    for layout in sorted(set(report.layouts.values())):
        files = sum(1 for found in report.layouts.values() if found == layout)
        what = "one sentence a line" if layout == "sentences" else "prose"
        lines.append(f"{files:,} .txt file(s) read as {what}, a blank line between documents")
    for name, what in (
        ("empty_documents", "documents without text, passed over"),
        ("documents_without_tokens", "documents without a token, passed over"),
        ("sentences_without_tokens", "sentences without a token, passed over"),
        ("sentences_broken", f"sentences longer than {LONGEST_SENTENCE} tokens, broken there (nothing lost)"),
    ):
        if counts[name]:
            lines.append(f"{counts[name]:,} {what}")
    return lines
