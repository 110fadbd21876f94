"""What each choice of the training step is worth, by undoing one at a time.

    python benchmarks/choices.py                     L4 H256, vocabulary 30,522, 128 tokens, batch 32, on this machine
    python benchmarks/choices.py --only dropout      only those whose name holds a word
    python benchmarks/choices.py --json

One process, all variants in turn, for several rounds; a figure is the median over the steps of all rounds. The batch is
random ids, the loop the real one. What the allocator is worth stands in pretrain.py, because it cannot be undone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional

from bertwright.batches.pretraining import PretrainingBatch
from bertwright.batches.random_rows import random_batch
from bertwright.encoder.attention import SelfAttention
from bertwright.encoder.config import EncoderConfig
from bertwright.encoder.dropout import Dropout
from bertwright.encoder.encoder import Encoder
from bertwright.examples.masking import IGNORED
from bertwright.heads.model import PRETRAINING, Bert
from bertwright.memory import keep_big_blocks
from bertwright.objectives import plain_masked_word_loss
from bertwright.tasks.pretrain import objective
from bertwright.training.compilation import compile_encoder
from bertwright.training.loop import Hooks, Portion, Trainee, train
from bertwright.training.optimizers import build_optimizers
from bertwright.training.precision import choose_dtype
from bertwright.training.settings import TrainingSettings
from bertwright.training.signals import StopWish
from bertwright.training.world import alone

LENGTH, BATCH, PREDICTIONS, WARMUP = 128, 32, 19, 2
CONFIG = EncoderConfig(
    hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024, vocab_size=30522
)


@dataclass(frozen=True)
class Variant:
    """The step with one thing changed; `patches` are (object, attribute, what stands there instead)."""

    name: str
    precision: str = "auto"
    optimizer: str = "adamw"
    patches: tuple[tuple[Any, str, Any], ...] = ()
    batch: Callable[[PretrainingBatch], PretrainingBatch] = lambda batch: batch
    parts: int = 1
    recompute: bool = False
    compiled: bool = False
    dropout: float = 0.1
    fused: bool = True
    seconds: list[float] = field(default_factory=list, compare=False)


def predicted_everywhere(batch: PretrainingBatch) -> PretrainingBatch:
    """The same labels, with the vocabulary computed at every position, as most codes do."""
    labels = torch.full_like(batch.input_ids, IGNORED)
    labels.scatter_(1, batch.masked_positions, batch.masked_labels.view(batch.masked_positions.shape))
    everywhere = torch.arange(LENGTH).expand(BATCH, -1).contiguous()
    return replace(batch, masked_positions=everywhere, masked_labels=labels.flatten())


def in_rows(batch: PretrainingBatch, rows: slice) -> PretrainingBatch:
    return PretrainingBatch(
        batch.input_ids[rows],
        batch.token_type_ids[rows],
        batch.attention_mask[rows],
        batch.first_positions[rows],
        batch.masked_positions[rows],
        batch.masked_labels.view(BATCH, -1)[rows].flatten(),
        batch.next_sentence_labels.view(BATCH, -1)[rows].flatten(),
    )


def fused_kernel(
    self: SelfAttention, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, _: Tensor | None
) -> Tensor:
    mask = None if bias is None else bias.to(query.dtype)
    return functional.scaled_dot_product_attention(query, key, value, mask, self.dropout.probability)


def three_products(self: SelfAttention, hidden: Tensor, bias: Tensor | None, *rest: Tensor | None) -> Tensor:
    asking = rest[0] if rest else None
    if asking is not None:
        return _ATTENTION(self, hidden, bias, asking)
    joined = self.query_key_value
    weights, offsets = joined.weight.chunk(3), joined.bias.chunk(3)
    parts = [functional.linear(hidden, weight, offset) for weight, offset in zip(weights, offsets, strict=True)]
    query, key, value = (self._split(part) for part in parts)
    found = self._attend(query, key, value, bias, None)
    projected: Tensor = self.output(found.transpose(1, 2).reshape(hidden.shape))
    return projected


def torchs_dropout(self: Dropout, hidden: Tensor, *_: object) -> Tensor:
    return functional.dropout(hidden, self.probability, self.training)


def everywhere(self: Encoder, *arguments: Any, wanted: Tensor | None = None, **named: Any) -> Any:
    """The last layer computed at all positions, of which the wanted are taken afterwards."""
    output = _ENCODER(self, *arguments, **named)
    assert wanted is not None
    return replace(output, hidden=output.hidden.gather(1, wanted[..., None].expand(-1, -1, output.hidden.shape[-1])))


_ATTENTION, _ENCODER = SelfAttention.forward, Encoder.forward

VARIANTS = (
    Variant("as it is (AdamW, bf16, dropout 0.1)"),
    Variant("fp32", precision="fp32"),
    Variant("vocabulary at every position", batch=predicted_everywhere),
    Variant("last layer at every position", patches=((Encoder, "forward", everywhere),)),
    Variant("torch's attention kernel", patches=((SelfAttention, "_attend", fused_kernel),)),
    Variant("query, key, value in three products", patches=((SelfAttention, "forward", three_products),)),
    Variant("torch's dropout", patches=((Dropout, "forward", torchs_dropout),)),
    Variant("no dropout", dropout=0.0),
    Variant(
        "torch's cross-entropy",
        patches=((sys.modules["bertwright.tasks.pretrain"], "masked_word_loss", plain_masked_word_loss),),
    ),
    Variant("AdamW not fused", fused=False),
    Variant("optimizer adam-2018", optimizer="adam-2018"),
    Variant("optimizer lamb", optimizer="lamb"),
    Variant("optimizer muon", optimizer="muon"),
    Variant("machine.micro_batch_size = 8", parts=4),
    Variant("machine.recompute", recompute=True),
    Variant("machine.compile, no dropout", compiled=True, dropout=0.0),
)


@contextmanager
def changed(variant: Variant) -> Iterator[None]:
    active = [patch.object(where, name, instead) for where, name, instead in variant.patches]
    for each in active:
        each.start()
    try:
        yield
    finally:
        for each in active:
            each.stop()


def measure(variant: Variant, steps: int) -> None:
    """Add the times of `steps` steps to the variant's."""
    dropout = {"hidden_dropout_prob": variant.dropout, "attention_probs_dropout_prob": variant.dropout}
    model = Bert(CONFIG.model_copy(update=dropout), PRETRAINING)
    model.initialise(0)
    model.encoder.recompute = variant.recompute
    if variant.compiled:
        compile_encoder(model)
    settings = TrainingSettings(
        steps=WARMUP + steps,
        log_every=1,
        save_every=10**9,
        evaluate_every=10**9,
        optimizer=variant.optimizer,  # type: ignore[arg-type]  # one of the names
        precision=variant.precision,  # type: ignore[arg-type]
    )
    optimizers = build_optimizers(model, settings)
    if not variant.fused:
        groups = [{**group, "fused": False, "foreach": True} for group in optimizers[0].param_groups]
        optimizers = (torch.optim.AdamW(groups),)
    batch = variant.batch(random_batch(CONFIG.vocab_size, BATCH, LENGTH, PREDICTIONS))
    rows = BATCH // variant.parts
    firsts = range(0, BATCH, rows)
    portion = Portion([in_rows(batch, slice(first, first + rows)) for first in firsts], list(firsts))
    moments = [time.perf_counter()]
    device = torch.device("cpu")
    with changed(variant):
        train(
            Trainee(model, optimizers),
            settings,
            portions=itertools.repeat(portion),
            objective=objective,
            dtype=choose_dtype(settings.precision, device),
            hooks=Hooks(
                report=lambda _: moments.append(time.perf_counter()), evaluate=lambda _: None, save=lambda _: None
            ),
            wish=StopWish(),
            world=alone(device),
        )
    variant.seconds.extend(later - earlier for earlier, later in itertools.pairwise(moments[WARMUP:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="of each variant in a round")
    parser.add_argument("--only", default="", help="variants whose name holds this")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    keep_big_blocks()
    plain, *others = VARIANTS
    chosen = [plain, *(variant for variant in others if arguments.only in variant.name)]
    for number in range(arguments.rounds):
        for variant in chosen:
            measure(variant, arguments.steps)
            print(f"round {number + 1} of {arguments.rounds}: {variant.name}", file=sys.stderr)
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    ours = statistics.median(plain.seconds)
    rows = [
        {
            "name": variant.name,
            "peer": round(1e3 * statistics.median(variant.seconds), 1),
            "ours": round(1e3 * ours, 1),
            "unit": "ms a step",
            "ratio": round(statistics.median(variant.seconds) / ours, 2),
        }
        for variant in chosen
    ]
    if arguments.json:
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))
        return
    print(machine)
    for row in rows:
        print(f"{row['peer']:>8.1f} ms  {row['ratio']:>5.2f}  {row['name']}")


if __name__ == "__main__":
    main()
