"""Which words are hidden, and how many: static and dynamic masks, whole words and spans, 15, 30 and 40%.

    python experiments/masking.py --data DIR --out DIR

Every variant is pretrained alike but for one setting of `examples`. All are measured on the same held-out words, 15%
of the tokens hidden one by one, and fine-tuned on the same rows. Static masks are compared on a small corpus, because
they differ from dynamic ones only where the same text comes again: that run goes through its text many times.
"""

from __future__ import annotations

from lab.bench import Bench, go, parser
from lab.variants import Column, Variant, compare

VARIANTS = [
    Variant("tokens 15%"),
    Variant("whole words 15%", {"examples.masked_unit": "whole_word"}),
    Variant("spans 15%", {"examples.masked_unit": "span"}),
    Variant("tokens 30%", {"examples.masked_fraction": 0.3}),
    Variant("tokens 40%", {"examples.masked_fraction": 0.4}),
    Variant("little text, dynamic", little=True),
    Variant("little text, static", {"examples.distinct_epochs": 1}, little=True),
]
COLUMNS = [Column("SST-2", "sst2"), Column("STS-B", "stsb"), Column("NCBI-disease", "ncbi")]


def experiment(bench: Bench, names: list[str]) -> None:
    compare(bench, [variant for variant in VARIANTS if variant.name in names], COLUMNS)


if __name__ == "__main__":
    parsed = parser(__doc__)
    known = [variant.name for variant in VARIANTS]
    parsed.add_argument("--variants", nargs="+", choices=known, default=known)
    arguments = parsed.parse_args()
    go("masking", arguments, lambda bench: experiment(bench, arguments.variants))
