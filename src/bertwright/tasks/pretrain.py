"""The pretraining task: masked words and next sentence, its loss, and its scores on held-out text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    model: Bert, batch: PretrainingBatch, on_words: OnWords | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of both losses, and losses and accuracies as figures; without the next-sentence head of words alone."""
    words, following = model.pretraining_scores(
        batch.input_ids, batch.token_type_ids, batch.attention_mask, batch.masked_positions, batch.first_positions
    )
    if on_words is not None:
        on_words(words.detach(), batch.masked_labels)
    word_loss = masked_word_loss(words, batch.masked_labels)
    figures = {"mlm_loss": word_loss.detach(), "mlm_accuracy": _accuracy(words, batch.masked_labels)}
    if following is None:
        return word_loss, figures
    sentence_loss = next_sentence_loss(following, batch.next_sentence_labels)
    figures |= {
        "nsp_loss": sentence_loss.detach(),
        "nsp_accuracy": _accuracy(following, batch.next_sentence_labels),
    }
    return pretraining_loss(word_loss, sentence_loss), figures


def held_out_scores(
    model: Bert,
    batches: Iterable[PretrainingBatch],
    on_progress: Callable[[int], None] | None = None,
    on_words: OnWords | None = None,
) -> dict[str, float]:
    """Losses and accuracies over all words and all pairs of the batches (not means of batch means).

    `on_progress` is told the number of examples done; `on_words` the scores of each batch.
    """
    device = next(model.parameters()).device
    sums: dict[str, float] = {}
    words = pairs = examples = 0
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            _, figures = objective(model, batch.to(device), on_words)
            labels = {"mlm": batch.masked_labels, "nsp": batch.next_sentence_labels}
            count = {name: int((values != IGNORED).sum()) for name, values in labels.items()}
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + float(value) * count[name[:3]]
            words, pairs = words + count["mlm"], pairs + count["nsp"]
            examples += len(batch.input_ids)
            if on_progress is not None:
                on_progress(examples)
    return {name: total / (words if name.startswith("mlm") else pairs) for name, total in sums.items()}


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


def _accuracy(scores: Tensor, labels: Tensor) -> Tensor:
    # max and not argmax: on a CPU it is several times as fast and tells the same index.
    return (scores.detach().max(dim=1).indices == labels).sum() / (labels != IGNORED).sum()
