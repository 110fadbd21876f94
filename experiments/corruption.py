"""80/10/10 against 100/0/0 (paper, appendix C.2): what becomes of the words that are to be guessed.

    python experiments/corruption.py --data DIR --out DIR

Of the chosen words the paper turns 80% into [MASK] and 10% into another word, and leaves 10% as they are, since no
[MASK] is ever seen in fine-tuning. Its Table 8: fine-tuned scores hardly change without it; those of a tagger on a
frozen encoder (features of the last four layers, an LSTM on them) fall. The held-out loss here is told in the paper's
corruption for all, and by itself for words that are really [MASK].
"""

from __future__ import annotations

from pathlib import Path

from bertwright.shards.read import open_shards
from lab.bench import Bench, Json, go, level, parser
from lab.corpus import shards
from lab.pretraining import held_out_of, measured, recipe_of
from lab.variants import Column, Variant, compare, over_pretrainings


def corrupted(mask: int, random: int) -> Variant:
    """A pretraining with so many hundredths of [MASK] and of random words; the rest stays."""
    if (mask, random) == (80, 10):
        return Variant("80/10/10")  # as it is anyway, so that other experiments' model is taken
    changed = {"examples.mask_token_fraction": mask / 100, "examples.random_token_fraction": random / 100}
    return Variant(f"{mask}/{random}/{100 - mask - random}", changed)


RATES = ((80, 10), (100, 0), (80, 0), (80, 20), (0, 0), (0, 100))
VARIANTS = [corrupted(mask, random) for mask, random in RATES]
FEATURES = {"tag_features": "last-four", "lstm_size": 128, "learning_rate": 1e-3}
COLUMNS = [
    Column("SST-2", "sst2"),
    Column("NCBI-disease", "ncbi"),
    Column("NCBI-disease, features", "ncbi", FEATURES),
]


def masks_alone(bench: Bench, variant: Variant) -> Json:
    """The loss where every chosen word is [MASK]."""
    changed = {"mask_token_fraction": 1.0, "random_token_fraction": 0.0}
    settings = recipe_of(bench).examples.model_copy(update=changed)

    def find(model: Path) -> Json:
        return dict(measured(model, held_out_of(bench, open_shards(shards(bench)), settings)))

    return {"loss at [MASK]": level(each["mlm_loss"] for each in over_pretrainings(bench, "masks", variant, find))}


def experiment(bench: Bench, names: list[str]) -> None:
    variants = [variant for variant in VARIANTS if variant.name in names]
    compare(bench, variants, COLUMNS, lambda variant: masks_alone(bench, variant))


if __name__ == "__main__":
    parsed = parser(__doc__)
    known = [variant.name for variant in VARIANTS]
    parsed.add_argument("--variants", nargs="+", choices=known, default=known)
    arguments = parsed.parse_args()
    go("corruption", arguments, lambda bench: experiment(bench, arguments.variants))
