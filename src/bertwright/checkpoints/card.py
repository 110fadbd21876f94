"""The model card: README.md of a model directory, from what is known and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bertwright.heads.model import Bert


def model_card(name: str, model: Bert, labels: Sequence[str], record: dict[str, Any]) -> str:
    """Markdown that says what the model is, how it came to be, what it scored, and how to use it."""
    config = model.config
    parameters = sum(parameter.numel() for parameter in model.parameters())
    lines = [
        "---",
        "library_name: transformers",
        "tags: [bert, bertwright]",
        "---",
        "",
        f"# {name}",
        "",
        (
            f"A BERT encoder: {config.num_hidden_layers} layers, hidden size {config.hidden_size}, "
            f"{config.num_attention_heads} heads, vocabulary {config.vocab_size:,}, {parameters:,} parameters."
        ),
    ]
    heads = [
        text
        for there, text in (
            (model.parts.masked_words, "masked words"),
            (model.parts.next_sentence, "next sentence"),
            (model.parts.labels, f"classes: {', '.join(labels)}"),
            (model.parts.tags, f"tags: {', '.join(labels)}"),
            (model.parts.spans, "answers in a text"),
        )
        if there
    ]
    if heads:
        lines += ["", f"Heads: {'; '.join(heads)}."]
    if adaptation := record.get("adaptation"):
        lines += _adaptation(adaptation)
    elif metrics := record.get("metrics"):
        lines += ["", "## Measured on held-out data", "", "| metric | value |", "|---|---|"]
        lines += [f"| {key} | {value:.4f} |" for key, value in metrics.items() if isinstance(value, float)]
    if lineage := record.get("lineage"):
        lines += ["", "## How it came to be", ""]
        for step in lineage:
            rest = ", ".join(f"{key}: {value}" for key, value in step.items() if key != "step")
            lines.append(f"- **{step.get('step')}**: {rest}")
    answers = model.parts.labels or model.parts.tags or model.parts.spans
    use = "predict" if answers else "fill" if model.parts.masked_words else "embed"
    lines += ["", "## Use", "", "```", f"bertwright {use} {name} --help", "```", ""]
    return "\n".join(lines)


def _adaptation(columns: Sequence[dict[str, Any]]) -> list[str]:
    """A table of what was measured before and after each stage of an adaptation."""
    names = [name for name in columns[-1] if name != "after"]
    if not names:
        return []
    lines = ["", "## Before and after adapting", ""]
    lines += [f"| held-out text | {' | '.join(str(column['after']) for column in columns)} |"]
    lines += [f"|---|{'---|' * len(columns)}"]
    for name in names:
        cells = (f"{column[name]:.4f}" if name in column else "-" for column in columns)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines
