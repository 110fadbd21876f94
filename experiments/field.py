"""The four steps: general text -> a field's text -> the task's text -> fine-tuning, on biomedical sets.

    python experiments/field.py --data DIR --out DIR
    python experiments/field.py --data DIR --out DIR --model DIR

`bertwright ladder` does all of it and tells each rung's gain over the model as it was, paired by seed; what that gave
a real checkpoint stands in docs/adapting.md. Here it starts from the small model that the experiments share, or from
--model. The field's text are papers of trials and textbooks of biology and anatomy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bertwright.metrics.intervals import Interval, interval
from bertwright.recipes.adapting.settings import AdaptSettings
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.recipes.laddering.ladder import climb
from bertwright.recipes.laddering.outcome import Climbed
from lab.bench import Bench, Json, go, parser, show
from lab.corpus import found, shards, sources
from lab.finetuning import SETS, rows_of
from lab.picture import draw_points
from lab.pretraining import pretrained

FIELD = ("domain/biomed/pmc_rct_articles", "domain/biomed/openstax_biology_anatomy")


def run(bench: Bench, source: Path, steps: int) -> Climbed:
    """The ladder, which goes on where it was stopped."""
    rows = rows_of(bench, "ncbi")
    out = bench.out / "ladder"
    if bench.quick:
        field = sources(bench)
    else:
        assert bench.data is not None
        field = [str(found(bench.data, name)) for name in FIELD]
    # A model as small as this, and as few steps, want a higher rate than a real checkpoint.
    changed = [f"field.most_steps={steps}", f"task.most_steps={max(1, steps // 3)}"]
    changed += ["field.learning_rate=5e-4", "task.learning_rate=5e-4", "examples.max_length=128"]
    if bench.quick:
        changed += ["field.batch_size=4", "task.batch_size=4", "task.held_out=0.2", "field.held_out=0.2"]
    more = {"epochs": 1} if bench.quick else {}
    return climb(
        source,
        "tag",
        rows / "train.jsonl",
        rows / "dev.jsonl",
        out,
        field=field,
        test_file=rows / "test.jsonl",
        rungs=["general", "field+task"] if bench.quick else None,
        seeds=bench.seeds,
        adapting=AdaptSettings().replaced(changed),
        settings=FinetuneSettings(**{**SETS["ncbi"].settings, **more}),
        workers=1 if bench.quick else None,
        resume=(out / "run").exists(),
        progress=bench.progress,
    )


def table_of(climbed: Climbed) -> list[Json]:
    """Scores and gains in hundredths."""

    def told(each: Interval) -> Json:
        return {
            "mean": round(100 * each.mean, 1),
            "low": round(100 * each.low, 1),
            "high": round(100 * each.high, 1),
            "seeds": each.count,
        }

    return [
        {
            "rung": rung.name,
            climbed.metric: told(interval(climbed.values(rung))),
            "gain over general": told(climbed.gain(rung)) if place else "",
        }
        for place, rung in enumerate(climbed.rungs)
    ]


def experiment(bench: Bench, given: Path | None, steps: int) -> None:
    source = given or pretrained(bench, {}, shards(bench))
    steps = 4 if bench.quick else steps

    def make() -> Json:
        climbed = run(bench, source, steps)
        return {"table": table_of(climbed), "metric": climbed.metric, "told": climbed.as_json()}

    settings = {"model": source.name, "steps": bench.steps, "field_steps": steps, "seeds": bench.seeds}
    kept = bench.once("ladder", settings, make)
    bench.finish(kept["table"])
    show(kept["table"])
    scores = {row["rung"]: row[kept["metric"]] for row in kept["table"]}
    gains = {row["rung"]: row["gain over general"] for row in kept["table"] if row["gain over general"]}
    story = f"NCBI-disease, span F1 on test; 95% intervals over {bench.seeds} seeds of fine-tuning"
    draw_points(bench.picture, {"F1": scores, "gain over general": gains}, story=story)


if __name__ == "__main__":
    parsed = parser(__doc__)
    parsed.add_argument("--model", type=Path, help="model directory to start from")
    parsed.add_argument("--field-steps", type=int, default=600, help="steps on the field's text; a third on the task's")
    arguments: argparse.Namespace = parsed.parse_args()
    go("field", arguments, lambda bench: experiment(bench, arguments.model, arguments.field_steps))
