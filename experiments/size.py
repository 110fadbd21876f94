"""Size (paper, Table 6), and a frozen encoder's features against fine-tuning (Table 7).

    python experiments/size.py --data DIR --out DIR --sizes tiny mini

Every size sees the same text in the same steps. Each is then fine-tuned; its features are what a tagger learns from
while the encoder stands still: the last four layers into an LSTM, and the last layer alone into a linear head.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bertwright.checkpoints.model_directory import read_model
from lab.bench import Bench, Json, go, level, parser
from lab.variants import Column, Variant, compare, over_pretrainings

SIZES: dict[str, dict[str, Any]] = {
    "L1 H64": {"model.hidden_size": 64, "model.num_hidden_layers": 1, "model.num_attention_heads": 1,
               "model.intermediate_size": 256},
    "tiny": {},
    "mini": {"model.preset": "bert-mini"},
    "small": {"model.preset": "bert-small"},
    "medium": {"model.preset": "bert-medium"},
}  # fmt: skip
LSTM = {"tag_features": "last-four", "lstm_size": 128, "learning_rate": 1e-3}
COLUMNS = [
    Column("SST-2", "sst2"),
    Column("STS-B", "stsb"),
    Column("NCBI-disease", "ncbi"),
    Column("NCBI-disease, LSTM on frozen layers", "ncbi", LSTM),
    Column("NCBI-disease, head on frozen encoder", "ncbi", {"freeze": "encoder", "learning_rate": 5e-3}),
]


def parameters(bench: Bench, variant: Variant) -> Json:
    """How many numbers the model is made of, in millions."""

    def find(model: Path) -> Json:
        return {"parameters": sum(each.numel() for each in read_model(model).model.parameters())}

    found = over_pretrainings(bench, "parameters", variant, find)[0]["parameters"]
    return {"million parameters": level([found / 1e6], 2)}


def experiment(bench: Bench, sizes: list[str], names: list[str]) -> None:
    variants = [Variant(name, SIZES[name]) for name in sizes]
    columns = [column for column in COLUMNS if column.name in names]
    compare(bench, variants, columns, lambda variant: parameters(bench, variant))


if __name__ == "__main__":
    parsed = parser(__doc__)
    parsed.add_argument("--sizes", nargs="+", choices=SIZES, default=["L1 H64", "tiny", "mini"])
    known = [column.name for column in COLUMNS]
    parsed.add_argument("--columns", nargs="+", choices=known, default=known, metavar="NAME", help=", ".join(known))
    arguments = parsed.parse_args()
    go("size", arguments, lambda bench: experiment(bench, arguments.sizes, arguments.columns))
