"""What lies beside an exported graph: all that a model directory says, but for the weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertwright.checkpoints.configuration import (
    CHOICE,
    CONFIG,
    encoder_config,
    is_of,
    labels_of,
    task_name,
)
from bertwright.checkpoints.record import RECORD, agreed_task, longest_of, read_record
from bertwright.checkpoints.sentence_layout import read_sentence_layout
from bertwright.checkpoints.tokenizers import fitted, in_lower_case
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import ModelError
from bertwright.files import read_json
from bertwright.heads.model import Parts
from bertwright.tokens.layout import read_tokenizer, unused_tokens
from bertwright.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class GraphDirectory:
    """A directory that holds a graph, ours or another's; the fields are those of `LoadedModel`."""

    path: Path
    config: EncoderConfig
    tokenizer: Tokenizer
    task: str = ""
    labels: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    # A tagger through an LSTM is not exported.
    lstm: int = 0

    @property
    def longest(self) -> int:
        """Tokens that an input may have."""
        return longest_of(self.config, self.record)


def read_graph_directory(path: Path) -> GraphDirectory:
    """All but the graph itself. Raises ModelError or VocabularyError."""
    if not (path / CONFIG).exists():
        raise ModelError("holds no config.json, so it is no model directory", where=path)
    values = read_json(path / CONFIG, ModelError)
    config = encoder_config(values, path / CONFIG)
    record = read_record(path / RECORD)
    layout = read_sentence_layout(path)
    if layout is not None:
        record = layout.record | record
    parts = _parts_named(values)
    task = agreed_task(task_name(parts, values), record.get("task", ""), path / RECORD)
    labels = labels_of(values, 0 if task in ("regress", CHOICE) else parts.labels or parts.tags, path / CONFIG)
    tokenizer, unheard = fitted(read_tokenizer(path), config.vocab_size, path)
    unused = unheard + unused_tokens(path, tokenizer)
    if layout is not None:
        unused += layout.unused
        tokenizer = in_lower_case(tokenizer) if layout.lowercase else tokenizer
    return GraphDirectory(path, config, tokenizer, task, labels, record, unused)


def _parts_named(values: dict[str, Any]) -> Parts:
    """The head by the class that config.json names, for a graph does not show its weights."""
    names = values.get("id2label")
    # transformers gives every model two labels that nothing says otherwise of.
    count = len(names) if isinstance(names, dict) and names else 2
    if is_of(values, "MultipleChoice"):
        return Parts(labels=1)
    if is_of(values, "SequenceClassification"):
        return Parts(labels=count)
    if is_of(values, "TokenClassification"):
        return Parts(pooler=False, tags=count)
    return Parts(pooler=False, spans=is_of(values, "QuestionAnswering"))
