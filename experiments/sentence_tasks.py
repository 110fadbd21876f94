"""Next sentence, sentence order, or neither (paper, Table 5; ALBERT, 4.6): what each learns, and gives to pairs.

    python experiments/sentence_tasks.py --data DIR --out DIR

A false next sentence comes from another document, so it can be told by its topic alone. Sentence order (SOP) has both
parts from one place, and in half the cases the wrong way round: there the topic says nothing. Each head is therefore
asked both questions on the same held-out text. A head that has learnt order answers both; one that has learnt topic
answers the first, and stands at 50% at the second. Then each model is fine-tuned on pairs of sentences, beside one
that was pretrained on words alone.
"""

from __future__ import annotations

from pathlib import Path

from bertwright.checkpoints.model_directory import read_model
from bertwright.shards.read import open_shards
from lab.bench import Bench, Json, go, parser, share
from lab.corpus import shards
from lab.pretraining import held_out_of, measured, recipe_of
from lab.variants import Column, Variant, compare, over_pretrainings

VARIANTS = [
    Variant("none"),
    Variant("next sentence", {"examples.segments": "next_sentence"}),
    Variant("sentence order", {"examples.segments": "sentence_order"}),
]
COLUMNS = [Column("MRPC", "mrpc"), Column("RTE", "rte"), Column("STS-B", "stsb")]
# What a head is asked, and the examples that ask it.
QUESTIONS = {"tells another document": "next_sentence", "tells the wrong order": "sentence_order"}


def answers(bench: Bench, variant: Variant) -> Json:
    """How often the head tells true pairs from those of another document, and from those the wrong way round."""
    if not variant.changed:
        return dict.fromkeys(QUESTIONS, "")
    examples = recipe_of(bench).examples

    def find(path: Path) -> Json:
        model, opened = read_model(path).model, open_shards(shards(bench))
        return {
            question: measured(model, held_out_of(bench, opened, examples.model_copy(update={"segments": segments})))[
                "nsp_accuracy"
            ]
            for question, segments in QUESTIONS.items()
        }

    found = over_pretrainings(bench, "questions", variant, find)
    return {question: share(each[question] for each in found) for question in QUESTIONS}


def experiment(bench: Bench) -> None:
    compare(bench, VARIANTS, COLUMNS, lambda variant: answers(bench, variant))


if __name__ == "__main__":
    go("sentence_tasks", parser(__doc__).parse_args(), experiment)
