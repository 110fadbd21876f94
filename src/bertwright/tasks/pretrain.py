"""The pretraining task: masked words and next sentence, its loss, and its scores on held-out text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertwright.batches.pretraining import PretrainingBatch
from bertwright.examples.masking import IGNORED
from bertwright.heads.model import Bert
from bertwright.objectives import masked_word_loss, next_sentence_loss, pretraining_loss

# Is told the scores of hidden words (n, vocabulary) and what they were (n,), of which IGNORED count for nothing.
OnWords = Callable[[Tensor, Tensor], None]


def objective(
    model: Bert, batch: PretrainingBatch, totals: Mapping[str, float], on_words: OnWords | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of both losses, and losses and accuracies as figures; without the next-sentence head of words alone.

    totals: what sums are divided by, as `PretrainingBatch.counts` names it: the words and pairs of the whole step, of
    which `batch` is a part. on_words: told the scores of the hidden words.
    """
    words, following = model.pretraining_scores(
        batch.input_ids, batch.token_type_ids, batch.attention_mask, batch.masked_positions, batch.first_positions
    )
    if on_words is not None:
        on_words(words.detach(), batch.masked_labels)
    word_loss = masked_word_loss(words, batch.masked_labels, totals["mlm"])
    figures = {"mlm_loss": word_loss.detach(), "mlm_accuracy": _right(words, batch.masked_labels) / totals["mlm"]}
    if following is None:
        return word_loss, figures
    sentence_loss = next_sentence_loss(following, batch.next_sentence_labels, totals["nsp"])
    figures |= {
        "nsp_loss": sentence_loss.detach(),
        "nsp_accuracy": _right(following, batch.next_sentence_labels) / totals["nsp"],
    }
    return pretraining_loss(word_loss, sentence_loss), figures


def held_out_scores(
    model: Bert,
    batches: Iterable[PretrainingBatch],
    on_progress: Callable[[int], None] | None = None,
    on_words: OnWords | None = None,
) -> dict[str, float]:
    """Losses and accuracies over all words and all pairs of the batches (not means of batch means).

    Of running text there are no figures of pairs, whatever heads the model has.

    `on_progress` is told the number of examples done; `on_words` the scores of each batch.
    """
    device = next(model.parameters()).device
    sums: dict[str, float] = {}
    counts = {"mlm": 0, "nsp": 0}
    examples = 0
    model.eval()
    # Not inference mode: what it makes may not be kept, and a sharded model keeps its gathered weights.
    with torch.no_grad():
        for batch in batches:
            _, figures = objective(model, batch.to(device), {"mlm": 1, "nsp": 1}, on_words)
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + float(value)
            counts = {name: count + batch.counts[name] for name, count in counts.items()}
            examples += len(batch.input_ids)
            if on_progress is not None:
                on_progress(examples)
    return {name: total / counts[name[:3]] for name, total in sums.items() if counts[name[:3]]}


def unigram_baseline(
    counts: NDArray[np.int64], batches: Iterable[PretrainingBatch], ignored: tuple[int, ...]
) -> dict[str, float]:
    """What knowing only how often each word occurs in the training text would score on the same hidden words.

    counts: (vocabulary,) occurrences in the training text, to which one is added for words never seen. `ignored` are
    the ids that are never hidden: [PAD], [CLS], [SEP] and [MASK].
    """
    guess, surprise = unigram_knowledge(counts, ignored)
    labels = np.concatenate([batch.masked_labels.numpy() for batch in batches])
    labels = labels[labels != IGNORED]
    return {"mlm_accuracy": float((labels == guess).mean()), "mlm_loss": float(surprise[labels].mean())}


def unigram_knowledge(counts: NDArray[np.int64], ignored: tuple[int, ...]) -> tuple[int, NDArray[np.float64]]:
    """The word that is guessed everywhere, and the loss on each word; arguments as of `unigram_baseline`."""
    smoothed = counts.astype(np.float64) + 1
    smoothed[list(ignored)] = 0
    with np.errstate(divide="ignore"):
        return int(smoothed.argmax()), -np.log(smoothed / smoothed.sum())


def _right(scores: Tensor, labels: Tensor) -> Tensor:
    """How many labels have the highest score."""
    # max and not argmax: on a CPU it is several times as fast and tells the same index.
    return (scores.detach().max(dim=1).indices == labels).sum()
