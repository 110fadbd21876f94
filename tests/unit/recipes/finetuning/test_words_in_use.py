"""Training with the vectors in use alone is training with all of them."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from torch.nn import functional

from bertwright.batches.sequences import InputBatch, pad
from bertwright.batches.windows import Window
from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import Bert, Parts
from bertwright.recipes.finetuning.words_in_use import WordsInUse
from bertwright.tasks.task import Item
from bertwright.training.clipping import clip_gradients
from bertwright.training.freezing import freeze
from bertwright.training.optimizers import build_optimizers
from bertwright.training.settings import TrainingSettings

CONFIG = EncoderConfig(
    vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip
TEXTS = [[2, 9, 9, 27, 3], [2, 14, 3]]
TARGETS = torch.tensor([0, 1])
ONLY_DEV = 21


def item(ids: list[int]) -> Item:
    return Item((Window(np.array(ids, dtype=np.int32), len(ids), 1, 0, (0, len(ids) - 2)),))


def items() -> list[Item]:
    return [item(ids) for ids in TEXTS]


def words() -> WordsInUse:
    return WordsInUse([*items(), item([2, ONLY_DEV, 3])], CONFIG.vocab_size, pad_id=5)


def model() -> Bert:
    made = Bert(CONFIG, Parts(pooler=True, labels=2))
    made.initialise(0)
    return made


def inputs(of: list[Item], pad_id: int) -> InputBatch:
    return pad([window for each in of for window in each.windows], pad_id)


def said(by: Bert, batch: InputBatch) -> torch.Tensor:
    return by.class_scores(batch.input_ids, batch.token_type_ids, batch.attention_mask)


def trained(learner: Bert, batch: InputBatch, steps: int = 4) -> None:
    settings = TrainingSettings(steps=steps, batch_size=2, learning_rate=1e-2, weight_decay=0.5)
    (optimizer,) = build_optimizers(learner, settings)
    for _ in range(steps):
        functional.cross_entropy(said(learner, batch), TARGETS).backward()
        clip_gradients(learner.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()


def test_the_pieces_of_all_items_and_the_padding_keep_their_order() -> None:
    found = words()
    assert found.ids.tolist() == [2, 3, 5, 9, 14, 21, 27]
    assert found.pad_id == 2
    assert [each.windows[0].ids.tolist() for each in found.renumbered(items())] == [[0, 3, 3, 6, 1], [0, 4, 1]]


def test_the_model_says_the_same() -> None:
    whole = model()
    narrow = deepcopy(whole)
    found = words()
    found.narrow(narrow)
    assert narrow.encoder.embeddings.word.weight.shape == (7, 16)
    assert torch.equal(said(narrow, inputs(found.renumbered(items()), found.pad_id)), said(whole, inputs(items(), 5)))


def test_training_is_the_same_and_the_others_keep_their_vectors() -> None:
    whole = model()
    narrow = deepcopy(whole)
    before = whole.encoder.embeddings.word.weight.detach().clone()
    found = words()
    table = found.narrow(narrow)
    trained(narrow, inputs(found.renumbered(items()), found.pad_id))
    found.widen(narrow, table)
    trained(whole, inputs(items(), 5))
    learnt = narrow.encoder.embeddings.word.weight
    reference = whole.encoder.embeddings.word.weight
    torch.testing.assert_close(learnt[found.ids], reference[found.ids], rtol=0, atol=1e-6)
    assert not torch.allclose(learnt[9], before[9], rtol=0.1)
    # What dev alone holds only decays, in both; what nothing holds is left as it was.
    torch.testing.assert_close(learnt[ONLY_DEV], before[ONLY_DEV] * (1 - 1e-2 * 0.5) ** 4)
    others = sorted(set(range(30)) - set(found.ids.tolist()))
    assert torch.equal(learnt[others], before[others])
    for name, parameter in whole.named_parameters():
        if "word" not in name:
            torch.testing.assert_close(dict(narrow.named_parameters())[name], parameter, rtol=0, atol=1e-6)


def test_frozen_vectors_stay_frozen() -> None:
    narrow = model()
    freeze(narrow, "embeddings")
    words().narrow(narrow)
    assert not narrow.encoder.embeddings.word.weight.requires_grad
