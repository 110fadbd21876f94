"""Parameter names: those of a transformers directory, and ours.

Ours differ in one thing that is more than a name: query, key and value are one matrix. `to_ours` joins the three,
`to_theirs` parts them again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_EMBEDDINGS = {
    "encoder.embeddings.word.": "bert.embeddings.word_embeddings.",
    "encoder.embeddings.position.": "bert.embeddings.position_embeddings.",
    "encoder.embeddings.segment.": "bert.embeddings.token_type_embeddings.",
    "encoder.embeddings.norm.": "bert.embeddings.LayerNorm.",
}
_LAYER = {
    "attention.output.": "attention.output.dense.",
    "attention_norm.": "attention.output.LayerNorm.",
    "expand.": "intermediate.dense.",
    "contract.": "output.dense.",
    "feed_forward_norm.": "output.LayerNorm.",
}
_HEADS = {
    "pooler.dense.": "bert.pooler.dense.",
    "masked_words.dense.": "cls.predictions.transform.dense.",
    "masked_words.norm.": "cls.predictions.transform.LayerNorm.",
    "masked_words.bias": "cls.predictions.bias",
    "next_sentence.dense.": "cls.seq_relationship.",
    "classifier.dense.": "classifier.",
    "spans.dense.": "qa_outputs.",
}
# The classifier of a sequence and that of tokens have one name there; config.json says which it is.
_TAGGER = {"tagger.dense.": "classifier."}
# What transformers does not have keeps its name, and is passed over there.
_OURS_ALONE = {"feature_tagger.": "feature_tagger."}
_OURS_TO_THEIRS = _EMBEDDINGS | _HEADS | _TAGGER | _OURS_ALONE
_THEIRS_TO_OURS = {theirs: ours for ours, theirs in (_EMBEDDINGS | _HEADS | _OURS_ALONE).items()}
_LAYER_THEIRS_TO_OURS = {theirs: ours for ours, theirs in _LAYER.items()}
_FUSED = "attention.query_key_value."
_PARTED = tuple(f"attention.self.{name}." for name in ("query", "key", "value"))


def to_theirs(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors under the names of a transformers directory."""
    theirs: dict[str, Tensor] = {}
    for name, tensor in ours.items():
        if layer := re.match(r"encoder\.layers\.(\d+)\.(.*)", name):
            prefix, rest = f"bert.encoder.layer.{layer[1]}.", layer[2]
            if rest.startswith(_FUSED):
                for part, chunk in zip(_PARTED, tensor.chunk(3), strict=True):
                    theirs[prefix + part + rest.removeprefix(_FUSED)] = chunk.contiguous()
            else:
                theirs[prefix + _renamed(rest, _LAYER)] = tensor
        else:
            theirs[_renamed(name, _OURS_TO_THEIRS)] = tensor
    return theirs


def to_ours(theirs: Mapping[str, Tensor], *, of_tokens: bool = False) -> tuple[dict[str, Tensor], list[str]]:
    """A transformers directory's tensors under our names, and the names that have no place here.

    of_tokens: its classifier is one of tokens.
    """
    heads = _THEIRS_TO_OURS | ({"classifier.": "tagger.dense."} if of_tokens else {})
    plain = {plain_name(name): tensor for name, tensor in theirs.items()}
    ours: dict[str, Tensor] = {}
    unused: list[str] = []
    for name, tensor in plain.items():
        layer = re.match(r"bert\.encoder\.layer\.(\d+)\.(.*)", name)
        if layer is None:
            known = _renamed(name, heads)
        elif layer[2].startswith(_PARTED[0]):
            kind = layer[2].removeprefix(_PARTED[0])
            stem = f"bert.encoder.layer.{layer[1]}."
            three = [plain[stem + part + kind] for part in _PARTED if stem + part + kind in plain]
            # A file that lacks one of the three, or whose shapes differ, lacks the joined matrix: the reader says so.
            whole = len(three) == len(_PARTED) and all(part.shape == tensor.shape for part in three)
            known = f"encoder.layers.{layer[1]}.{_FUSED}{kind}" if whole else ""
            tensor = torch.cat(three) if whole else tensor  # noqa: PLW2901
        elif layer[2].startswith(_PARTED):
            continue
        else:
            rest = _renamed(layer[2], _LAYER_THEIRS_TO_OURS)
            known = f"encoder.layers.{layer[1]}.{rest}" if rest else ""
        if known:
            ours[known] = tensor
        else:
            unused.append(name)
    return ours, unused


def plain_name(name: str) -> str:
    """Undo what old files and bare encoders name differently."""
    name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    if name.startswith(("embeddings.", "encoder.layer.", "pooler.")):
        name = "bert." + name
    return name


def _renamed(name: str, table: Mapping[str, str]) -> str:
    """`name` with its beginning replaced as the table says; empty where the table does not know it."""
    for start, other in table.items():
        if name.startswith(start):
            return other + name.removeprefix(start)
    return ""
