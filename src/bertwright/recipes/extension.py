"""A model and a field's text -> the same model with the field's words in its vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bertwright.checkpoints.model_directory import MODEL_FILES, LoadedModel, read_model, write_model
from bertwright.errors import CorpusError, ModelError
from bertwright.files import new_directory, refuse_existing
from bertwright.heads.model import Bert
from bertwright.progress import Progress
from bertwright.recipes.vocabulary import count_corpus
from bertwright.text.documents import OnError
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import Vocabulary
from bertwright.tokens.words import WordCounter
from bertwright.version import VERSION


@dataclass(frozen=True, slots=True)
class Extended:
    """The words added, most useful first; pieces a word and the share of words that are [UNK], before and after."""

    words: tuple[str, ...]
    fertility: tuple[float, float]
    unknown: tuple[float, float]


def extend_vocabulary(
    source: Path,
    sources: Sequence[str],
    out: Path,
    *,
    add: int,
    text_column: str = "text",
    on_error: OnError = "stop",
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress,
) -> Extended:
    """Write `source` to `out` with up to `add` words of a corpus as pieces of their own.

    Those words are taken that save most pieces: how often a word stands there, times the pieces it no longer needs. All
    old ids stay; a new word's vector (and its bias in the masked-word head) is the mean of those of its old pieces.

    Raises ModelError, or CorpusError where the corpus holds no word that the vocabulary splits.
    """
    if source.resolve() == out.resolve():
        raise ModelError("is the model to start from, and would be lost", where=out, cure="choose another --out")
    replaceable = MODEL_FILES if overwrite else ()
    refuse_existing(out, overwrite=replaceable)
    loaded = read_model(source)
    counter = WordCounter(**loaded.tokenizer.settings())
    counts, _, _ = count_corpus(
        sources, counter, out, text_column=text_column, on_error=on_error, workers=workers, progress=progress
    )
    words = most_saving(counts, loaded.tokenizer, add)
    if not words:
        raise CorpusError("holds no word that the vocabulary splits", where=" ".join(sources), cure="nothing is to do")
    before = loaded.tokenizer
    after = before.over(Vocabulary([*before.vocabulary.pieces, *words]))
    model = with_words(loaded, words)
    extended = Extended(
        tuple(words),
        (fertility(counts, before), fertility(counts, after)),
        (unknown_share(counts, before), unknown_share(counts, after)),
    )
    step = {
        "step": "extend",
        "words": len(words),
        "fertility": extended.fertility,
        "vocabulary_sha256": after.vocabulary.sha256,
    }
    # What was measured and chosen was of a model that cut words otherwise.
    kept = {name: value for name, value in loaded.record.items() if name not in _MEASURED}
    record = kept | {"bertwright": VERSION, "lineage": [*loaded.record.get("lineage", []), step]}
    with new_directory(out, overwrite=replaceable, say=progress.say) as partial:
        write_model(partial, model, after, labels=loaded.labels, record=record, name=out.name)
    few = "" if len(words) == add else f" (asked for {add:,}: no other word of the corpus is split)"
    progress.say(f"{len(words):,} words added{few}, as {', '.join(words[:8])} -> {out}")
    progress.say(
        f"pieces a word: {extended.fertility[0]:.3f} before, {extended.fertility[1]:.3f} after; "
        f"[UNK]: {extended.unknown[0]:.3%} of the words before, {extended.unknown[1]:.3%} after"
    )
    progress.say("the new words know only what their pieces did: go on pretraining on the field's text")
    return extended


def most_saving(counts: Mapping[str, int], tokenizer: Tokenizer, limit: int) -> list[str]:
    """Words of letters that the vocabulary splits, those first that save most pieces; ties by their text."""
    saved = {}
    for word, count in counts.items():
        if len(word) > 1 and word.isalpha():
            pieces = tokenizer.ids(word)
            unknown = pieces == [tokenizer.vocabulary.unk_id]
            if len(pieces) > 1 or unknown:
                # A word that was [UNK] is counted as if it had been two pieces: it gains more than length.
                saved[word] = count * (1 if unknown else len(pieces) - 1)
    return sorted(saved, key=lambda word: (-saved[word], word))[:limit]


def with_words(loaded: LoadedModel, words: Sequence[str]) -> Bert:
    """The model with a row more for each word: the mean of the rows of the pieces that it was spelled with."""
    old, known = loaded.model, len(loaded.tokenizer.vocabulary)
    config = old.config.model_copy(update={"vocab_size": max(old.config.vocab_size, known + len(words))})
    model = Bert(config, old.parts)
    model.initialise(0)
    spelled = [loaded.tokenizer.ids(word) for word in words]
    with torch.no_grad():
        before = dict(old.named_parameters())
        for name, parameter in model.named_parameters():
            values = before[name]
            if parameter.shape == values.shape:
                parameter.copy_(values)
            else:  # the word embeddings, and the bias of the masked-word head
                parameter[: len(values)] = values
            if name in _ROWS_OF_WORDS:
                parameter[known : known + len(words)] = torch.stack([values[pieces].mean(dim=0) for pieces in spelled])
    return model


# Of bertwright.json, what holds for the words as they were cut before.
_MEASURED = {
    "metrics", "metrics_without_shared_rows", "baseline", "classes", "errors", "calibration", "temperature", "data",
    "abstain_below", "null_threshold", "shared_rows", "seeds", "search", "ladder", "adaptation", "training",
}  # fmt: skip
_ROWS_OF_WORDS = ("encoder.embeddings.word.weight", "masked_words.bias")


def fertility(counts: Mapping[str, int], tokenizer: Tokenizer) -> float:
    """Pieces a word, over all words of a corpus."""
    return sum(count * len(tokenizer.ids(word)) for word, count in counts.items()) / sum(counts.values())


def unknown_share(counts: Mapping[str, int], tokenizer: Tokenizer) -> float:
    """The share of the words of a corpus that are [UNK]."""
    unknown = [tokenizer.vocabulary.unk_id]
    return sum(count for word, count in counts.items() if tokenizer.ids(word) == unknown) / sum(counts.values())
