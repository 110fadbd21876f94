"""All that a model says of a batch, under the names that transformers gives it: what exported graphs compute."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bertwright.batches.sequences import InputBatch
from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.heads.embed import Pooling, pool
from bertwright.heads.model import Bert, Parts
from bertwright.inference.known_task import normalizes, pooling_of

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Of these the first dimension is the batch; of those named here the second is the length.
BY_TOKEN = frozenset({"last_hidden_state", "logits", "prediction_logits", "start_logits", "end_logits"})


class Outputs(nn.Module):
    """A model as a function of `INPUTS`, (batch, length) int64 each, to the tensors that `names` name.

    last_hidden_state: (batch, length, hidden). pooler_output and sentence_embedding: (batch, hidden).
    prediction_logits: (batch, length, vocabulary), `logits` where there is no next-sentence head beside it.
    seq_relationship_logits: (batch, 2), `logits` where there is no masked-word head beside it. logits: (batch, labels)
    or (batch, length, tags). start_logits and end_logits: (batch, length). A model of a task says what its head says
    and no more, so that nothing else is computed.
    """

    def __init__(self, model: Bert, *, pooling: Pooling | None = None, normalize: bool = False) -> None:
        """pooling: how a text's vector is made, None where it is not asked for."""
        super().__init__()
        self.model = model
        self.pooling = pooling
        self.normalize = normalize
        self.names = names_of(model.parts, embeds=pooling is not None)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> tuple[Tensor, ...]:
        """The tensors of `names`, in that order."""
        model, parts = self.model, self.model.parts
        mask = attention_mask.bool()
        if parts.labels:
            return (model.class_scores(input_ids, token_type_ids, mask),)
        if parts.tags:
            return (model.tag_scores(input_ids, token_type_ids, mask),)
        if parts.spans:
            start, end = model.span_scores(input_ids, token_type_ids, mask).unbind(-1)
            return start, end
        hidden = model.encoder(input_ids, token_type_ids, mask).hidden
        found = [hidden]
        if self.pooling is not None:
            vector = pool(hidden, mask, self.pooling)
            found.append(nn.functional.normalize(vector, dim=-1) if self.normalize else vector)
            return tuple(found)
        if model.pooler is not None:
            found.append(model.pooled(hidden))
        if model.masked_words is not None:
            found.append(model.masked_words(hidden, model.encoder.embeddings.word.weight))
        if model.next_sentence is not None:
            found.append(model.next_sentence(found[1]))
        return tuple(found)


def outputs_of(loaded: LoadedModel) -> Outputs:
    """Those of a model that was read; one of sentences says its vectors, made as it was trained."""
    if loaded.task == "embed":
        return Outputs(loaded.model, pooling=pooling_of(loaded), normalize=normalizes(loaded)).eval()
    return Outputs(loaded.model).eval()


def names_of(parts: Parts, *, embeds: bool) -> tuple[str, ...]:
    """The names of what a model with these parts says."""
    if parts.labels or parts.tags:
        return ("logits",)
    if parts.spans:
        return ("start_logits", "end_logits")
    names = ["last_hidden_state"]
    if embeds:
        return (*names, "sentence_embedding")
    if parts.pooler:
        names.append("pooler_output")
    if parts.masked_words:
        names.append("prediction_logits" if parts.next_sentence else "logits")
    if parts.next_sentence:
        names.append("seq_relationship_logits" if parts.masked_words else "logits")
    return tuple(names)


def inputs_of(batch: InputBatch) -> dict[str, Tensor]:
    """A batch under the names of `INPUTS`, in that order."""
    given = (batch.input_ids, batch.attention_mask.long(), batch.token_type_ids)
    return dict(zip(INPUTS, given, strict=True))


def example(loaded: LoadedModel) -> tuple[Tensor, Tensor, Tensor]:
    """A batch of two texts of different lengths, to trace a graph with: `INPUTS`."""
    length = min(16, loaded.longest)
    vocabulary = loaded.tokenizer.vocabulary
    ids = torch.full((2, length), vocabulary.unk_id)
    ids[:, 0], ids[:, -1] = vocabulary.cls_id, vocabulary.sep_id
    mask = torch.ones_like(ids)
    ids[1, -3:] = vocabulary.pad_id
    mask[1, -3:] = 0
    return ids, mask, torch.zeros_like(ids)
