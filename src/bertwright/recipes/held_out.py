"""Held-out text as batches, and texts beside a run's own that are watched while it learns something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bertwright.batches.pretraining import PretrainingBatch, PretrainingBatches
from bertwright.examples.plan import Cursor, ExamplePlan
from bertwright.examples.settings import ExampleSettings
from bertwright.heads.model import Bert
from bertwright.shards.read import Shard
from bertwright.tasks.pretrain import held_out_scores
from bertwright.tokens.vocabulary import Vocabulary

_BATCH = 64


def held_out_batches(
    shards: Sequence[Shard], examples: ExampleSettings, vocabulary: Vocabulary, *, most: int, fixed_shape: bool = False
) -> Iterator[PretrainingBatch]:
    """The first `most` examples of shards, always the same ones; none where there are no shards."""
    if not shards:
        return
    # A seed of its own: what is measured stays the same whatever the training seed.
    plan = ExamplePlan(shards, examples, seed=0)
    builder = PretrainingBatches(plan, vocabulary, fixed_shape=fixed_shape)
    count = min(plan.size(0), most)
    for start in range(0, count, _BATCH):
        yield builder.build(Cursor(0, start), min(_BATCH, count - start))


class WatchedTexts:
    """Texts by name, as `general`, of which a model's masked words are measured again and again."""

    def __init__(
        self,
        texts: Mapping[str, Sequence[Shard]],
        examples: ExampleSettings,
        vocabulary: Vocabulary,
        *,
        most: int,
        fixed_shape: bool = False,
    ) -> None:
        """texts: shards made with `vocabulary`, all of which are held out. most: examples of each that are measured."""
        # Running text, whatever the run itself learns from: so the figures of one run can be put beside another's.
        running = examples.model_copy(update={"segments": "none", "too_long": "carry"})
        self._batches = {
            name: list(held_out_batches(shards, running, vocabulary, most=most, fixed_shape=fixed_shape))
            for name, shards in texts.items()
        }

    def figures(self, model: Bert, tell: Callable[[str], None]) -> dict[str, float]:
        """Loss and accuracy on each text, as `general_mlm_loss`; `tell` is told how far it is."""
        found: dict[str, float] = {}
        for name, batches in self._batches.items():
            total = sum(len(batch.input_ids) for batch in batches)
            tell(f"measuring: {total:,} examples of the {name} text")
            scores = held_out_scores(model, batches)
            found |= {f"{name}_{figure}": scores[figure] for figure in ("mlm_loss", "mlm_accuracy")}
        return found
