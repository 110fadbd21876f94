"""The model card: README.md of a model directory, from what is known and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bertwright.checkpoints.card_usage import usage_part
from bertwright.checkpoints.finetuned_card import (
    answers_part,
    calibration_part,
    data_part,
    exported_part,
    finetuning_step,
    limits_part,
    scores_part,
    several_part,
    training_part,
)
from bertwright.checkpoints.markdown import flat, inline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bertwright.heads.model import Bert

# Labels that are still named in a sentence.
_NAMED = 30


def model_card(
    name: str,
    model: Bert,
    labels: Sequence[str],
    record: dict[str, Any],
    pictures: Sequence[str] = (),
    *,
    form: str = "hf",
) -> str:
    """Markdown that says what the model is, how it came to be, what it scored, and how to use it.

    `pictures` are the paths, from the card, of those that there are. form: of the graph that the directory holds.
    """
    config = model.config
    parameters = sum(parameter.numel() for parameter in model.parameters())
    lines = [
        "---",
        "library_name: transformers",
        "tags: [bert, bertwright]",
        "---",
        "",
        f"# {inline(name)}",
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
            (model.parts.labels, _labels("classes", labels)),
            (model.parts.tags, _labels("tags", labels)),
            (model.parts.spans, "answers in a text"),
        )
        if there
    ]
    if heads:
        lines += ["", f"Heads: {'; '.join(heads)}."]
    finetuned = record.get("data") is not None
    if adaptation := record.get("adaptation"):
        lines += _adaptation(adaptation)
    elif metrics := record.get("metrics"):
        lines += ["", "## Scores on dev" if finetuned else "## Measured on held-out data", ""]
        if exported := record.get("exported"):
            lines += exported_part(exported)
        lines += scores_part(metrics, record)
    if finetuned:
        lines += [*several_part(record), *data_part(record), *answers_part(record, pictures)]
        lines += [*calibration_part(record, pictures), *training_part(record, pictures), *limits_part(record)]
    if lineage := record.get("lineage"):
        lines += ["", "## How it came to be", "", "Hashes are cut; `bertwright.json` has them whole.", ""]
        for step in lineage:
            lines += _step(step, settings=not finetuned or step is not finetuning_step(record))
    return "\n".join([*lines, *usage_part(name, model, record, form), ""])


def _labels(what: str, labels: Sequence[str]) -> str:
    """Their names, or how many there are; a head without names gives a number."""
    if not labels:
        return "a number"
    return f"{len(labels)} {what}" if len(labels) > _NAMED else f"{what}: {', '.join(map(inline, labels))}"


def _step(step: dict[str, Any], *, settings: bool) -> list[str]:
    """What a step of the lineage was: a line of its plain values, then one for each group of settings."""
    values = {key: value for key, value in step.items() if key != "step" and not isinstance(value, dict)}
    lines = [_line(f"- **{inline(step.get('step'))}**", values)]
    if settings:
        for key, value in step.items():
            if isinstance(value, dict):
                groups = {name: each for name, each in value.items() if isinstance(each, dict)}
                rest = {name: each for name, each in value.items() if name not in groups}
                lines += [_line(f"  - {inline(name)}", each) for name, each in ({key: rest} | groups).items()]
    return [line for line in lines if line]


def _line(name: str, values: dict[str, Any]) -> str:
    told = "; ".join(f"{inline(key.replace('_', ' '))} {inline(value)}" for key, value in flat(values))
    return f"{name}: {told}" if told else name


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
