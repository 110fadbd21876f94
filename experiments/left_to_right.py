"""Masked words against left to right (paper, Figure 5 and Table 5): fine-tuned scores along pretraining.

    python experiments/left_to_right.py --data DIR --out DIR

The same encoder, text, steps and size. One learns the hidden 15% of the words from both sides; the other has a causal
mask and learns every next word. It is told six times as many words in a step, so it learns faster at first; the paper
has masked words ahead after that. At points along both, the model is fine-tuned with the mask that it was pretrained
with, and classified by its last token, which has seen the whole text in both. Left to right costs more a step: every
word is scored against the vocabulary. So time is told beside steps.
"""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

from bertwright.checkpoints.model_directory import read_model, write_model
from bertwright.errors import SettingsError
from bertwright.heads.model import WORDS_ALONE, Bert
from bertwright.recipes.course import Course
from bertwright.shards.read import open_shards
from bertwright.tasks.pretrain import objective as masked_words
from bertwright.training.loop import Hooks, Portion, Trainee, train
from bertwright.training.optimizers import build_optimizers
from bertwright.training.precision import choose_dtype
from bertwright.training.signals import StopWish
from bertwright.training.world import alone
from lab.bench import Bench, Json, go, parser, share, show
from lab.causal import NextWords, make_causal, next_word_objective
from lab.classifier import accuracy, classifier_on, labels_in, last_token, learn, read_labelled, told
from lab.corpus import shards
from lab.finetuning import TITLES, rows_of
from lab.picture import draw_curves
from lab.pretraining import recipe_of

OBJECTIVES = ("masked words", "left to right")
SETS = ("sst2", "trec")
# Shares of the steps after which a model is kept. 0 is random weights, the same for both.
POINTS = (0.0, 0.125, 0.25, 0.5, 1.0)


def points_of(bench: Bench) -> list[int]:
    """The steps after which models are kept."""
    return [round(share * bench.steps) for share in POINTS]


def pretrain_along(bench: Bench, objective: str, data: Path, folder: Path) -> Json:
    """Pretrain once; a model directory for each point goes to folder/STEP. Returns seconds and the last loss."""
    causal = objective == "left to right"
    # Nothing is hidden from a model that may not look ahead.
    plain = {"examples.mask_token_fraction": 0.0, "examples.random_token_fraction": 0.0} if causal else {}
    recipe = recipe_of(bench, plain)
    opened = open_shards(data)
    vocabulary, world = opened.tokenizer.vocabulary, alone()
    model = Bert(recipe.model.config(len(vocabulary), vocabulary.pad_id), WORDS_ALONE)
    model.initialise(recipe.training.seed)
    model.to(world.device)
    if causal:
        make_causal(model)
    course = Course(recipe, opened.shards("train"), vocabulary, world)
    points = points_of(bench)
    settings = recipe.training.model_copy(update={"log_every": max(1, bench.steps // 20), "evaluate_every": 1})
    losses = [float("nan")]
    seconds = [0.0, time.perf_counter()]

    def keep(step: int) -> None:
        if step not in points:
            return
        seconds[0] += time.perf_counter() - seconds[1]
        (folder / str(step)).mkdir(parents=True)
        write_model(folder / str(step), model, opened.tokenizer, record={"task": "pretrain"})
        bench.progress.say(f"{objective}, step {step:,}: loss {losses[-1]:.3f}, {seconds[0]:.0f} s")
        seconds[1] = time.perf_counter()

    shutil.rmtree(folder, ignore_errors=True)
    keep(0)
    hooks = Hooks(report=lambda report: losses.append(report.figures["loss"]), evaluate=keep, save=lambda _: None)
    about: dict[str, Any] = {
        "dtype": choose_dtype(recipe.training.precision, world.device),
        "hooks": hooks,
        "wish": StopWish(),
        "world": world,
    }
    trainee = Trainee(model, build_optimizers(model, recipe.training))
    if causal:
        portions = (
            Portion([NextWords.of(batch, vocabulary.sep_id) for batch in each.batches], each.first_rows)
            for each in course.portions(0)
        )
        train(trainee, settings, portions=portions, objective=next_word_objective, **about)
    else:
        train(trainee, settings, portions=course.portions(0), objective=masked_words, **about)
    return {"seconds": round(seconds[0], 1), "loss": losses[-1]}


def score(bench: Bench, model: Path, name: str, seed: int, *, causal: bool) -> Json:
    """Accuracy on test of the model fine-tuned on a set, the last epoch's."""
    rows = rows_of(bench, name)
    loaded = read_model(model)
    labels = labels_in(rows / "train.jsonl")
    pad_id = loaded.tokenizer.vocabulary.pad_id
    read = {part: read_labelled(rows / f"{part}.jsonl", loaded.tokenizer, labels) for part in ("train", "test")}
    bert = classifier_on(loaded, len(labels), seed)
    if causal:
        make_causal(bert)
    learn(bert, read["train"], pad_id, seed=seed, epochs=1 if bench.quick else 3, scores=last_token)
    return {"accuracy": accuracy(told(bert, read["test"], pad_id, scores=last_token), read["test"])}


def experiment(bench: Bench) -> None:
    if bench.pretrainings != 1:
        raise SettingsError("--pretrainings: this experiment makes one of each", cure="leave it out")
    data = shards(bench)
    sets = SETS[:1] if bench.quick else SETS
    # Models are kept by their steps, so that a longer pretraining does not take a shorter one's.
    homes = {
        objective: bench.out / "models" / f"{objective.replace(' ', '-')}-{bench.steps}" for objective in OBJECTIVES
    }
    runs = {
        objective: bench.once(
            f"pretraining/{objective}",
            {"steps": bench.steps},
            partial(pretrain_along, bench, objective, data, homes[objective]),
        )
        for objective in OBJECTIVES
    }
    scores: dict[tuple[str, str, int], list[float]] = {}
    for seed in range(bench.seeds):
        for name in sets:
            for step in points_of(bench)[:: -1 if not bench.quick else -4]:
                for objective in OBJECTIVES:
                    model = homes[objective] / str(step)
                    found = bench.once(
                        f"{name}/{objective}/{step}/{seed}",
                        {"steps": bench.steps, "step": step, "seed": seed},
                        partial(score, bench, model, name, seed, causal=objective != OBJECTIVES[0]),
                    )
                    scores.setdefault((name, objective, step), []).append(found["accuracy"])
    steps = sorted({step for _, _, step in scores})
    table = [
        {"set": name, "step": step, **{objective: share(scores[name, objective, step]) for objective in OBJECTIVES}}
        for name in sets
        for step in steps
    ]
    seconds = {objective: runs[objective]["seconds"] for objective in OBJECTIVES}
    bench.finish(table, seconds_of_pretraining=seconds)
    show(table)
    print("seconds of pretraining: " + ", ".join(f"{name} {each:.0f}" for name, each in seconds.items()))
    panels = {
        TITLES[name]: {
            objective: [(step, share(scores[name, objective, step])) for step in steps] for objective in OBJECTIVES
        }
        for name in sets
    }
    story = f"accuracy on test; one pretraining each, means and 95% intervals over {bench.seeds} seeds of fine-tuning"
    draw_curves(bench.picture, panels, across="steps of pretraining", story=story)


if __name__ == "__main__":
    go("left_to_right", parser(__doc__).parse_args(), experiment)
