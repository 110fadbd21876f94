"""Which words are hidden, and how many: static and dynamic masks, whole words and spans, 15, 30 and 40%.

    python experiments/masking.py --data DIR --out DIR

Every variant is pretrained alike but for one setting of `examples`. All are measured on the same held-out words, 15%
of the tokens hidden one by one, and fine-tuned on the same rows. Static masks are compared on a small corpus, because
they differ from dynamic ones only where the same text comes again: that run goes through its text many times.
"""

from __future__ import annotations

from lab.bench import Bench, go, parser, show
from lab.picture import draw_points
from lab.variants import Column, Variant, compare, panels_of

UNITS = [
    Variant("tokens, 15%"),
    Variant("whole words, 15%", {"examples.masked_unit": "whole_word"}),
    Variant("spans, 15%", {"examples.masked_unit": "span"}),
    Variant("tokens, 30%", {"examples.masked_fraction": 0.3}),
    Variant("tokens, 40%", {"examples.masked_fraction": 0.4}),
    Variant("dynamic, little text", little=True),
    Variant("static, little text", {"examples.distinct_epochs": 1}, little=True),
]
COLUMNS = [Column("SST-2", "sst2"), Column("STS-B", "stsb"), Column("NCBI-disease", "ncbi")]


def experiment(bench: Bench) -> None:
    table = compare(bench, UNITS, COLUMNS)
    bench.finish(table)
    show(table)
    panels = panels_of(table, ["MLM loss", *(column.name for column in COLUMNS if column.name in table[0])])
    story = f"one pretraining each; means and 95% intervals over {bench.seeds} seeds of fine-tuning"
    draw_points(bench.picture, panels, story=story)


if __name__ == "__main__":
    go("masking", parser(__doc__).parse_args(), experiment)
