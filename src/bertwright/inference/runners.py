"""What answers a task's batches: torch with a model's weights, or an exported graph with its own runtime.

A Runner is told what is wanted; an Engine (engines/engine.py) gives all that a model says, and knows of no task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from bertwright.batches.sequences import InputBatch
from bertwright.checkpoints.graphs import graph_files
from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.checkpoints.weights import weights_hash
from bertwright.errors import ModelError
from bertwright.files import sha256
from bertwright.inference.engines.engine import Graph, Streams
from bertwright.inference.int8 import INT8_BATCH_TOKENS, to_int8
from bertwright.inference.known_task import Described
from bertwright.tasks.decoding import token_budget
from bertwright.tasks.task import Said, Task
from bertwright.training.precision import computes_bf16, computing_in


class Runner(Protocol):
    """One model for all that it can do, told what is wanted by a task or by name."""

    described: Described
    # Batches that it reads at a time, each in a thread of its caller's.
    streams: int
    # Tokens of a batch, padding included, that it is fastest with.
    batch_tokens: int
    # Whether a batch is read by as many of torch's threads as its caller has at that moment.
    spreads: bool

    @property
    def engine_told(self) -> str:
        """What runs it, and in which precision, for people."""

    @property
    def embeds(self) -> bool:
        """Whether it gives the vectors of tokens."""

    @property
    def fills(self) -> bool:
        """Whether it has a masked-word head, and `words` answers."""

    @property
    def shows_attention(self) -> bool:
        """Whether `attention` answers."""

    def weights_hash(self) -> str:
        """A hash of all weights that are used."""

    def say(self, task: Task[Any, Any], inputs: InputBatch) -> Said:
        """What `Task.outputs` gives, (windows, ...) or (windows, length, ...)."""

    def words(self, inputs: InputBatch, places: Sequence[list[int]]) -> Said:
        """Scores of all words at some places of each input: (places of all, vocabulary).

        Raises ModelError where the model has no masked-word head.
        """

    def choices(self, inputs: InputBatch) -> Said:
        """One score an input: (inputs,)."""

    def attention(self, inputs: InputBatch) -> Said:
        """What share of its look each token of one input gives to each other: (layers, heads, length, length).

        Raises ModelError where that cannot be seen, as in a graph.
        """


class TorchRunner:
    """The weights of a model directory."""

    def __init__(
        self,
        loaded: LoadedModel,
        device: torch.device,
        *,
        dtype: torch.dtype = torch.float32,
        int8: bool = False,
        compiled: bool = False,
        streams: Streams | None = None,
    ) -> None:
        """dtype: what products are computed in. int8: those of the encoder in 8 bits. compiled: by torch's compiler.

        streams: whoever asks from several threads gives each of them its share of torch's own. Raises SettingsError
        where int8 is wanted and cannot be had.
        """
        self.described: Described = loaded
        self.streams = streams.count if streams else 1
        self.batch_tokens = token_budget(device)
        self.model = loaded.model.to(device).eval()
        self.device, self.dtype = device, dtype
        self._hash = ""
        if int8:
            self._hash = f"{weights_hash(self.model)}-int8"
            to_int8(self.model.encoder)
            self.batch_tokens = INT8_BATCH_TOKENS
        if compiled:
            self.model.encoder.compile(dynamic=True)
        how = "int8" if int8 else "bf16" if dtype == torch.bfloat16 else "fp32"
        self.engine_told = f"torch {how}{', compiled,' if compiled else ''} on {device.type}"
        if dtype == torch.bfloat16 and not computes_bf16(device):
            self.engine_told += ", which computes no bf16: fp32 is faster"
        # What torch has compiled keeps the number of threads that it was compiled for.
        self.spreads = device.type == "cpu" and not compiled
        self.embeds = self.shows_attention = True
        self.fills = self.model.masked_words is not None

    def weights_hash(self) -> str:
        """Of the weights in memory; in 8 bits, of those that they were made of."""
        return self._hash or weights_hash(self.model)

    def say(self, task: Task[Any, Any], inputs: InputBatch) -> Said:
        """Computed on the device."""
        with torch.inference_mode(), computing_in(self.dtype, self.device):
            return task.outputs(self.model, inputs.to(self.device)).float().cpu().numpy()

    def words(self, inputs: InputBatch, places: Sequence[list[int]]) -> Said:
        """The last layer and the vocabulary at these places alone."""
        if self.model.masked_words is None:
            raise _wordless(self.described)
        here = inputs.to(self.device)
        most = max(map(len, places))
        with torch.inference_mode(), computing_in(self.dtype, self.device):
            # Rows with fewer places ask for their [CLS] too, and nobody looks at it.
            wanted = torch.tensor([each + [0] * (most - len(each)) for each in places], device=self.device)
            hidden = self.model.encoder(here.input_ids, here.token_type_ids, here.attention_mask, wanted=wanted).hidden
            asked = torch.cat([row[: len(each)] for row, each in zip(hidden, places, strict=True)])
            return self.model.word_scores(asked).float().cpu().numpy()

    def choices(self, inputs: InputBatch) -> Said:
        """Those of the classifier's only label."""
        here = inputs.to(self.device)
        with torch.inference_mode(), computing_in(self.dtype, self.device):
            scores = self.model.class_scores(here.input_ids, here.token_type_ids, here.attention_mask)
        return scores[:, 0].float().cpu().numpy()

    def attention(self, inputs: InputBatch) -> Said:
        """Of every layer, from what goes into it."""
        here = inputs.to(self.device)
        with torch.inference_mode():
            shares = self.model.encoder.attention_shares(here.input_ids, here.token_type_ids)
            return shares[:, 0].float().cpu().numpy()


class GraphRunner:
    """A graph, whose outputs have the names that `inference.outputs` gives them."""

    def __init__(self, engine: Graph, described: Described, *, streams: int = 1) -> None:
        self.described = described
        self.engine = engine
        self.streams = streams
        self.spreads = False
        self.batch_tokens = token_budget(torch.device("cpu"))
        self.engine_told = f"{engine.form} {described.record.get('precision', 'fp32')} on cpu"
        self.embeds = "last_hidden_state" in engine.names
        self.shows_attention = False
        self.fills = not described.task and ("prediction_logits" in engine.names or self._scores_words())

    def _scores_words(self) -> bool:
        """Whether `logits` are of the words at each token, and not of the next sentence."""
        if "logits" not in self.engine.names:
            return False
        vocabulary = self.described.tokenizer.vocabulary
        ids = torch.tensor([[vocabulary.cls_id, vocabulary.sep_id]])
        return self.engine.run(InputBatch(ids, torch.zeros_like(ids), torch.ones_like(ids).bool()))["logits"].ndim == 3

    def weights_hash(self) -> str:
        """Of the graph's files."""
        return "-".join(sha256(file)[:16] for file in graph_files(self.described.path))

    def say(self, task: Task[Any, Any], inputs: InputBatch) -> Said:
        """Of the graph's outputs those that the task needs."""
        try:
            said = task.said(self.engine.run(inputs), inputs)
        except KeyError as missing:
            what = f"gives no {missing}, which `{task.name}` needs"
            cure = "export a model with that head" if task.name != "embed" else "export the encoder itself"
            raise ModelError(what, where=self.described.path, cure=cure) from None
        if task.labels and said.shape[-1] != len(task.labels):
            what = f"gives {said.shape[-1]} scores, and config.json names {len(task.labels)} labels"
            raise ModelError(what, where=self.described.path, cure="export the model again")
        if task.name == "regress" and said.ndim > 1 and said.shape[-1] != 1:
            what = f"gives {said.shape[-1]} scores, and a model that rates gives one"
            raise ModelError(what, where=self.described.path, cure="export the model again")
        return said

    def words(self, inputs: InputBatch, places: Sequence[list[int]]) -> Said:
        """Of all that the graph says of the words."""
        found = self.engine.run(inputs)
        scores = found.get("prediction_logits", found.get("logits"))
        if self.described.task or scores is None or scores.ndim != 3:
            raise _wordless(self.described)
        return np.concatenate([row[each] for row, each in zip(scores, places, strict=True)])

    def choices(self, inputs: InputBatch) -> Said:
        """Those of the classifier's only label."""
        found = self.engine.run(inputs)
        if "logits" not in found or found["logits"].shape[1:] != (1,):
            raise ModelError("gives no score of a choice", where=self.described.path, cure="export the model again")
        return np.ascontiguousarray(found["logits"][:, 0])

    def attention(self, inputs: InputBatch) -> Said:
        """A graph keeps it to itself."""
        del inputs
        raise ModelError(
            "is a graph, which does not show its attention", where=self.described.path, cure="take the model"
        )


def _wordless(described: Described) -> ModelError:
    return ModelError("has no masked-word head", where=described.path, cure="fill needs a pretrained model")
