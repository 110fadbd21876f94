"""The parts of a model card that only a fine-tuned model has: its rows, its classes, its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bertwright.checkpoints.markdown import flat, inline, table

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of the folder `dev`, each with what is to be said of it.
PICTURES = {
    "confusion.png": "Gold labels against predicted ones",
    "reliability.png": "How sure the model is against how often it is right",
    "scatter.png": "Numbers wanted against numbers given",
    "curve.png": "Loss, dev scores and learning rate over the steps",
}
# What the task's `baseline` gives.
_WITHOUT = {
    "classify": "always the most frequent label of train",
    "pair": "always the most frequent label of train",
    "multilabel": "always the most frequent label of train",
    "tag": "each word's most frequent tag in train",
    "answer": "never an answer",
}
# Classes that are all listed; of more, the worst.
_MOST_CLASSES, _WORST = 30, 15


def scores_part(metrics: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """Each score, beside it that of the rows which are not in train and that of what needs no model, where known."""
    baseline = record.get("baseline") or {}
    columns = [("value", metrics)]
    if unseen := record.get("metrics_without_shared_rows"):
        columns.append(("on rows not in train", unseen))
    if baseline:
        columns.append(("without a model", baseline))
    names = [name for name, value in metrics.items() if isinstance(value, float)]
    rows = [[name, *(_score(values.get(name)) for _, values in columns)] for name in names]
    lines = table(["metric", *(title for title, _ in columns)], rows)
    if baseline:
        lines += ["", f"Without a model: {_WITHOUT.get(record.get('task', ''), 'from the training rows alone')}."]
    return lines


def several_part(record: dict[str, Any]) -> list[str]:
    """The other runs that it was chosen among: seeds, a search, the rungs of a ladder."""
    lines = []
    if seeds := record.get("seeds"):
        scores = seeds["scores"]
        count = next(iter(scores.values()))["count"]
        lines += ["", "## Seeds", "", f"The run of the median score of {count}, that of seed {seeds['kept']}.", ""]
        rows = [
            [name, *(_score(found[key]) for key in ("mean", "deviation")), f"{found['low']:.4f} to {found['high']:.4f}"]
            for name, found in scores.items()
        ]
        lines += table(["metric", "mean", "deviation", "95% interval"], rows)
    if search := record.get("search"):
        told = ", ".join(f"{inline(name)} {inline(value)}" for name, value in search["best"].items())
        chosen = f"Of {len(search['tried'])} settings tried the best on dev: {told}. "
        luck = "The best of many on the same rows looks better than it is."
        lines += ["", "## Search", "", chosen + luck]
    if ladder := record.get("ladder"):
        names = [name for name in ladder["rungs"][0] if name != "rung"]
        told = (
            f"Adapted as the rung `{ladder['rung']}`, the best on dev. Means over all seeds, on {ladder['scored_on']}:"
        )
        rows = [[row["rung"], *(_score(row[name]) for name in names)] for row in ladder["rungs"]]
        lines += ["", "## Ladder", "", told, "", *table(["rung", *names], rows)]
    return lines


def data_part(record: dict[str, Any]) -> list[str]:
    """The files, the labels and what both files share."""
    data, shared = record["data"], record.get("shared_rows", {})
    lines = ["", "## Data", ""]
    files = [(use, data[use]) for use in ("train", "dev")]
    rows = [[use, each["file"], each["rows"], each["in_windows"], each["cut_rows"]] for use, each in files]
    lines += table(["rows for", "file", "rows", "in several windows", "cut short"], rows)
    if labels := data.get("labels"):
        lines.append("")
        if len(labels) <= _MOST_CLASSES:
            counted = [[label, *counts] for label, counts in labels.items()]
            lines += table(["label", "in train", "in dev"], counted)
        else:
            counts = sorted(count for count, _ in labels.values())
            lines.append(
                f"{len(labels)} labels, with {counts[0]:,} to {counts[-1]:,} training rows each; "
                f"the middle one has {counts[len(counts) // 2]:,}."
            )
    if shared.get("rows"):
        told = (
            f"**Dev rows that stand in train too: {shared['rows']:,} ({shared['share_of_dev']:.1%})**, but for case, "
            f"width and white space; with another label: {shared['other_label']:,}. What the model remembers is no "
            "sign of what it has learnt: the scores on the other rows are the honest ones."
        )
        lines += ["", told]
    elif shared:
        lines += ["", "No dev row stands in train."]
    if shared.get("repeated_in_train"):
        told = (
            f"Training rows that repeat an earlier one: {shared['repeated_in_train']:,}; "
            f"whose texts stand in train with another label too: {shared['disputed_in_train']:,}."
        )
        lines += ["", told]
    return lines


def answers_part(record: dict[str, Any], pictures: Sequence[str]) -> list[str]:
    """How well each class is found, of many the worst; what is taken for what; where to see the rows."""
    lines = []
    if classes := record.get("classes"):
        rows = [
            [name, _score(each["precision"]), _score(each["recall"]), _score(each["f1"]), each["support"]]
            for name, each in classes.items()
        ]
        if len(rows) > _MOST_CLASSES:
            # What dev has none of tells nothing.
            known = sorted((row for row in rows if row[4]), key=lambda row: float(row[3]))[:_WORST]
            lines += ["", f"The {len(known)} of {len(rows)} classes with the lowest F1; all are in `dev/classes.json`."]
            rows = known
        lines += ["", *table(["class", "precision", "recall", "F1", "rows"], rows)]
    lines += _pictures(pictures, "confusion.png", "scatter.png")
    errors = record.get("errors", {})
    if errors.get("rows"):
        left = errors["rows"] - errors["written"]
        which = f"the worst {errors['written']:,} of {errors['rows']:,}" if left else f"all {errors['rows']:,}"
        lines += ["", f"Dev rows whose answer is not the gold one, the worst first: {which} in `dev/errors.jsonl`."]
    return ["", "## Answers on dev", *lines] if lines else []


def calibration_part(record: dict[str, Any], pictures: Sequence[str]) -> list[str]:
    """How far probabilities can be believed, and what was chosen on dev."""
    found = record.get("calibration", {})
    if not found:
        return []
    lines = ["", "## Calibration", ""]
    if "ece_after" in found:
        before, after = _score(found["ece_before"]), _score(found["ece_after"])
        earlier = "" if before == after else f"; before anything was chosen it was {before}"
        lines.append(
            "On dev, probability and share of right answers differ by "
            f"{after} on average (expected calibration error, ten bins){earlier}."
        )
    if chosen := found.get("chosen"):
        lines += [
            "",
            "Chosen on dev itself, so that on new text it holds a little less well than these numbers say:",
            "",
        ]
        lines += [f"- {sentence[:1].upper()}{sentence[1:]}." for sentence in chosen]
    return lines + _pictures(pictures, "reliability.png")


def training_part(record: dict[str, Any], pictures: Sequence[str]) -> list[str]:
    """The settings of the last step, when the best weights were met, and the curve."""
    training = record.get("training", {})
    lines = ["", "## Training", ""]
    if training.get("best_step") is not None:
        told = (
            f"Of {training['steps']:,} steps the weights of step {training['best_step']:,} were kept: "
            f"they have the best {inline(training['best_by'])} on dev."
        )
        lines += [told, ""]
    lines += table(["setting", "value"], flat(finetuning_step(record).get("settings", {})))
    return lines + _pictures(pictures, "curve.png")


def exported_part(exported: dict[str, Any]) -> list[str]:
    """What a graph of fewer bits says beside the model that it was made of, whose scores the rest of the card tells."""
    lines = [
        "All scores of this card are those of the model in fp32 that the graph was made of. Measured on the graph:",
        "",
    ]
    rows = [[name, _score(before), _score(after)] for name, (before, after) in exported.get("scores", {}).items()]
    if rows:
        lines += [*table([f"on {exported['rows']:,} other rows", "fp32", exported["precision"]], rows), ""]
    for name, share in exported.get("alike", {}).items():
        lines += [f"- {inline(name)}: {share:.2%} of the predictions are alike"]
    return [*lines, ""]


def finetuning_step(record: dict[str, Any]) -> dict[str, Any]:
    """The last fine-tuning of the lineage, after which the model may have been exported."""
    steps = [step for step in record.get("lineage") or [] if step.get("step") == "finetune"]
    return steps[-1] if steps else {}


def limits_part(record: dict[str, Any]) -> list[str]:
    """What the model cannot do, and what its scores do not say."""
    lines = ["", "## Limits", ""]
    if (longest := record.get("max_length")) is not None:
        # A vector is made of all windows.
        most = None if record.get("task") == "embed" else record.get("max_windows")
        over = "" if most is None else f"; of more than {most} windows the rest is not read"
        lines.append(
            f"- It reads {longest} tokens at once. A longer text is read in windows that share "
            f"{record.get('overlap', 0)} tokens{over}."
        )
    if record.get("classes") and record.get("task") in ("classify", "pair"):
        lines.append(
            "- It knows the labels above and no others: text that belongs to none of them gets one all the same."
        )
    lines.append(
        "- The scores are those of the dev rows, by which the weights were chosen; measure it on rows that nothing was "
        "chosen by: `bertwright evaluate`."
    )
    lines.append(
        "- It was measured on rows like those of its training. On other text it may do worse, and will not say."
    )
    return lines


def _pictures(there: Sequence[str], *names: str) -> list[str]:
    found = [path for name in names for path in there if path.rpartition("/")[2] == name]
    return [line for path in found for line in ("", f"![{PICTURES[path.rpartition('/')[2]]}]({path})")]


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
