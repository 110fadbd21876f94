"""Names of variables: those of the original code, and those of a transformers directory.

bert/encoder/layer_0/attention/self/query/kernel    bert.encoder.layer.0.attention.self.query.weight, transposed
bert/embeddings/LayerNorm/gamma                     bert.embeddings.LayerNorm.weight
bert/embeddings/word_embeddings                     bert.embeddings.word_embeddings.weight
cls/predictions/output_bias                         cls.predictions.bias
output_weights, output_bias                         classifier.weight, classifier.bias      (run_classifier.py)
cls/squad/output_weights                            qa_outputs.weight                       (run_squad.py)
"""

from __future__ import annotations

import re

# What an optimizer keeps of each variable, and how far training had come: no part of the model.
_SLOTS = re.compile(r".*/(adam_[mv]|Adam(_1)?|AdamWeightDecayOptimizer(_1)?|LAMB(Optimizer)?(_1)?|Momentum|[mv])")
_PROGRESS = frozenset({"global_step", "beta1_power", "beta2_power", "bad_steps", "good_steps", "loss_scale"})
# Names as wholes: in these the two differ in more than their form.
_HEADS = {
    "cls/predictions/output_bias": "cls.predictions.bias",
    "cls/seq_relationship/output_weights": "cls.seq_relationship.weight",
    "cls/seq_relationship/output_bias": "cls.seq_relationship.bias",
    "cls/squad/output_weights": "qa_outputs.weight",
    "cls/squad/output_bias": "qa_outputs.bias",
    "output_weights": "classifier.weight",
    "output_bias": "classifier.bias",
}
_HEADS_BACK = {theirs: google for google, theirs in _HEADS.items()}
_LAST = {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}
_TABLE = re.compile(r"bert/embeddings/\w+_embeddings")
_MODEL = re.compile(r"(bert/(embeddings|encoder/layer_\d+|pooler)|cls/predictions/transform)/.+")


def is_of_training(name: str) -> bool:
    """Whether a variable belongs to training alone."""
    return name in _PROGRESS or _SLOTS.fullmatch(name) is not None


def to_transformers(name: str) -> tuple[str, bool] | None:
    """The name there of a variable, and whether it lies there transposed; None where it is none of BERT's."""
    if name in _HEADS:
        return _HEADS[name], False
    if _TABLE.fullmatch(name):
        return f"{name.replace('/', '.')}.weight", False
    stem, _, last = name.rpartition("/")
    if last not in _LAST or not _MODEL.fullmatch(name):
        return None
    stem = re.sub(r"layer_([0-9]+)", r"layer.\1", stem).replace("/", ".")
    return f"{stem}.{_LAST[last]}", last == "kernel"


def to_google(name: str) -> tuple[str, bool]:
    """The name of a tensor of a transformers directory in the original code, and whether it lies there transposed."""
    if name in _HEADS_BACK:
        return _HEADS_BACK[name], False
    stem, _, last = name.rpartition(".")
    stem = re.sub(r"layer\.([0-9]+)", r"layer_\1", stem).replace(".", "/")
    if _TABLE.fullmatch(stem):
        return stem, False
    if stem.endswith("LayerNorm"):
        return f"{stem}/{'gamma' if last == 'weight' else 'beta'}", False
    return f"{stem}/{'kernel' if last == 'weight' else 'bias'}", last == "weight"
