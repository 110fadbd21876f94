"""An encoder with the heads it has: what a model directory holds and what training moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bertwright.encoder.encoder import Encoder, Pooler, build_encoder, initialise
from bertwright.encoder.layer import EncoderLayer
from bertwright.heads.classify import ClassificationHead
from bertwright.heads.features import FeatureTagger
from bertwright.heads.mlm import MaskedWordHead
from bertwright.heads.nsp import NextSentenceHead
from bertwright.heads.span import SpanHead
from bertwright.heads.tag import TaggingHead

if TYPE_CHECKING:
    from bertwright.encoder.config import EncoderConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Which parts stand on the encoder. `labels` counts the classifier's classes, `tags` the tagger's; 0 is none.

    lstm: the tagger reads the last four layers, through an LSTM of so many dimensions each way; 0: it reads the last.
    """

    pooler: bool = True
    masked_words: bool = False
    next_sentence: bool = False
    labels: int = 0
    tags: int = 0
    lstm: int = 0
    spans: bool = False


PRETRAINING = Parts(masked_words=True, next_sentence=True)
WORDS_ALONE = Parts(pooler=False, masked_words=True)


class Bert(nn.Module):
    """An encoder, and the pooler and heads that were asked for; the others are None."""

    def __init__(self, config: EncoderConfig, parts: Parts) -> None:
        super().__init__()
        self.config = config
        self.parts = parts
        self.encoder: Encoder = build_encoder(config)
        size = config.hidden_size
        self.pooler = Pooler(size) if parts.pooler else None
        self.masked_words = (
            MaskedWordHead(vocab_size=config.vocab_size, hidden_size=size, layer_norm_eps=config.layer_norm_eps)
            if parts.masked_words
            else None
        )
        self.next_sentence = NextSentenceHead(size) if parts.next_sentence else None
        self.classifier = (
            ClassificationHead(hidden_size=size, labels=parts.labels, dropout=config.hidden_dropout_prob)
            if parts.labels
            else None
        )
        self.tagger = (
            TaggingHead(hidden_size=size, labels=parts.tags, dropout=config.hidden_dropout_prob)
            if parts.tags and not parts.lstm
            else None
        )
        self.feature_tagger = (
            FeatureTagger(
                hidden_size=size,
                labels=parts.tags,
                dropout=config.hidden_dropout_prob,
                layers=min(4, config.num_hidden_layers),
                lstm_size=parts.lstm,
            )
            if parts.tags and parts.lstm
            else None
        )
        self.spans = SpanHead(size) if parts.spans else None

    def initialise(self, seed: int) -> None:
        """Draw all weights anew, as in the paper's code."""
        initialise(self, standard_deviation=self.config.initializer_range, seed=seed)
        if self.masked_words is not None:
            nn.init.zeros_(self.masked_words.bias)  # the one parameter that lies in no layer of torch's

    def word_scores(self, hidden: Tensor) -> Tensor:
        """hidden: (positions, hidden) -> (positions, vocabulary)."""
        assert self.masked_words is not None
        scores: Tensor = self.masked_words(hidden, self.encoder.embeddings.word.weight)
        return scores

    def pooled(self, hidden: Tensor) -> Tensor:
        """hidden: (batch, length, hidden) -> (batch, hidden)."""
        assert self.pooler is not None
        vector: Tensor = self.pooler(hidden)
        return vector

    def pretraining_scores(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor,
        attention_mask: Tensor | None,
        masked_positions: Tensor,
        first_positions: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Scores of the hidden words and, with the head for it, of the next sentence.

        input_ids, token_type_ids, attention_mask: (batch, length); masked_positions: (batch, predictions).
        first_positions: (batch, sequences) where the [CLS] of packed sequences stand, as `attention_mask` numbers them;
        None for one sequence a row. Returns (batch * predictions, vocabulary) and (batch * sequences, 2) or None.
        """
        packed = first_positions is not None and first_positions.shape[1] > 1
        first = torch.zeros_like(masked_positions[:, :1]) if first_positions is None else first_positions
        if self.next_sentence is None:
            first = first[:, :0]
        # Nothing but [CLS] and the hidden words is looked at after the last layer.
        wanted = torch.cat([first, masked_positions], dim=1)
        hidden = self.encoder(input_ids, token_type_ids, attention_mask, packed=packed, wanted=wanted).hidden
        words = self.word_scores(hidden[:, first.shape[1] :].flatten(0, 1))
        if self.next_sentence is None:
            return words, None
        assert self.pooler is not None
        return words, self.next_sentence(self.pooler.of_first(hidden[:, : first.shape[1]].flatten(0, 1)))

    def class_scores(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) each -> (batch, labels)."""
        assert self.classifier is not None
        first = torch.zeros_like(input_ids[:, :1])
        hidden = self.encoder(input_ids, token_type_ids, attention_mask, wanted=first).hidden
        scores: Tensor = self.classifier(self.pooled(hidden))
        return scores

    def tag_scores(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) each -> (batch, length, tags)."""
        if self.feature_tagger is not None:
            layers = self.encoder(input_ids, token_type_ids, attention_mask, all_layers=True).layers
            found: Tensor = self.feature_tagger(layers, attention_mask)
            return found
        assert self.tagger is not None
        scores: Tensor = self.tagger(self.encoder(input_ids, token_type_ids, attention_mask).hidden)
        return scores

    def span_scores(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) each -> (batch, length, 2), each token as the start and as the end of the answer."""
        assert self.spans is not None
        start, end = self.spans(self.encoder(input_ids, token_type_ids, attention_mask).hidden)
        return torch.stack([start, end], dim=-1)


@dataclass(frozen=True, slots=True)
class Component:
    """A row of the parameter table; `parts` are the rows it is the sum of."""

    name: str
    parameters: int
    shape: str = ""
    parts: tuple[Component, ...] = ()


def unfilled(config: EncoderConfig, parts: Parts) -> Bert:
    """A model whose parameters have shapes and no numbers: bert-large costs no more than bert-tiny."""
    with torch.device("meta"), _NothingDrawn():
        return Bert(config, parts)


class _NothingDrawn(TorchFunctionMode):
    """Passes over the numbers that torch's modules draw for themselves.

    On the meta device they are none all the same, but the first of them loads torch's compiler, which takes a second.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return (*args, *kwargs.values())[0]
        return func(*args, **kwargs)


def parameter_table(config: EncoderConfig, parts: Parts) -> list[Component]:
    """All parameters by component, the sum of which is the model: embeddings, one layer, all layers, pooler, heads."""
    model = unfilled(config, parts)
    embeddings, layer = model.encoder.embeddings, model.encoder.layers[0]
    assert isinstance(layer, EncoderLayer)
    each = (
        _component("query, key, value", layer.attention.query_key_value),
        _component("attention output", layer.attention.output),
        _component("attention norm", layer.attention_norm),
        _component("feed-forward in", layer.expand),
        _component("feed-forward out", layer.contract),
        _component("feed-forward norm", layer.feed_forward_norm),
    )
    one = _sum("one layer", each)
    rows = [
        _sum(
            "embeddings",
            (
                _component("words", embeddings.word),
                _component("segments", embeddings.segment),
                _component("positions", embeddings.position),
                _component("norm", embeddings.norm),
            ),
        ),
        Component(f"{config.num_hidden_layers} layers", config.num_hidden_layers * one.parameters, parts=(one,)),
    ]
    heads = {
        "pooler": model.pooler,
        "masked-word head (words are shared)": model.masked_words,
        "next-sentence head": model.next_sentence,
        "classifier": model.classifier,
        "tagger": model.tagger,
        "tagger of the last four layers": model.feature_tagger,
        "answer head": model.spans,
    }
    rows += [_component(name, head) for name, head in heads.items() if head is not None]
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in model.parameters())
    return rows


def _component(name: str, module: nn.Module) -> Component:
    shapes = [" x ".join(map(str, parameter.shape)) for parameter in module.parameters()]
    return Component(name, sum(parameter.numel() for parameter in module.parameters()), " + ".join(shapes))


def _sum(name: str, parts: tuple[Component, ...]) -> Component:
    return Component(name, sum(part.parameters for part in parts), parts=parts)
