"""Next sentence, sentence order, or neither (paper, Table 5; ALBERT, 4.6): what each learns, and gives to pairs.

    python experiments/sentence_tasks.py --data DIR --out DIR

A false next sentence comes from another document, so it can be told by its topic alone. Sentence order (SOP) has both
parts from one place, and in half the cases the wrong way round: there the topic says nothing. Each head is therefore
asked both questions on the same held-out text. A head that has learnt order answers both; one that has learnt topic
answers the first, and stands at 50% at the second. Then each model is fine-tuned on pairs of sentences, beside one
that was pretrained on words alone.
"""

from __future__ import annotations

from bertwright.checkpoints.model_directory import read_model
from bertwright.shards.read import open_shards
from lab.bench import Bench, Json, go, parser, share, show
from lab.corpus import shards
from lab.picture import draw_points
from lab.pretraining import held_out_of, measured, recipe_of
from lab.variants import Column, Variant, compare, model_of, panels_of

VARIANTS = [
    Variant("none"),
    Variant("next sentence", {"examples.segments": "next_sentence"}),
    Variant("sentence order", {"examples.segments": "sentence_order"}),
]
COLUMNS = [Column("MRPC", "mrpc"), Column("RTE", "rte"), Column("STS-B", "stsb")]
QUESTIONS = {"another document": "next_sentence", "wrong order": "sentence_order"}


def answers(bench: Bench, variant: Variant) -> Json:
    """How often the head tells true pairs from those of another document, and from those the wrong way round."""
    if not variant.changed:
        return dict.fromkeys(QUESTIONS, "")

    def make() -> Json:
        model = read_model(model_of(bench, variant)).model
        opened, examples = open_shards(shards(bench)), recipe_of(bench).examples
        found = {}
        for question, segments in QUESTIONS.items():
            settings = examples.model_copy(update={"segments": segments})
            found[question] = measured(model, held_out_of(bench, opened, settings))["nsp_accuracy"]
        return found

    found = bench.once(f"questions/{variant.name}", {"steps": bench.steps, "changed": variant.changed}, make)
    return {question: share([found[question]]) for question in QUESTIONS}


def experiment(bench: Bench) -> None:
    table = compare(bench, VARIANTS, COLUMNS, lambda variant: answers(bench, variant))
    bench.finish(table)
    show(table)
    asked = {question: {r["pretraining"]: r[question] for r in table if r[question]} for question in QUESTIONS}
    told = panels_of(table, ["MLM loss", *(column.name for column in COLUMNS if column.name in table[0])])
    story = f"one pretraining each; means and 95% intervals over {bench.seeds} seeds of fine-tuning"
    draw_points(bench.picture, told | {f"told from {name}": values for name, values in asked.items()}, story=story)


if __name__ == "__main__":
    go("sentence_tasks", parser(__doc__).parse_args(), experiment)
