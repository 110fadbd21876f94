"""The whole life of a BERT in minutes: text -> vocabulary -> shards -> pretraining -> masks -> a classifier.

The text is the documentation inside the installed Python packages, which every machine with this tool has. The
classifier tells a passage's package, and is trained twice on the same rows for the same steps: from the pretrained
encoder and from random weights.
"""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bertwright.batches.pretraining import PretrainingBatches
from bertwright.checkpoints.model_directory import DEV, MODEL_FILES
from bertwright.errors import CorpusError, Stopped, UserFault
from bertwright.examples.plan import Cursor, ExamplePlan
from bertwright.files import read_json, refuse_existing, to_json, write_atomic
from bertwright.heads.model import PRETRAINING, Bert
from bertwright.inference.predictor import load
from bertwright.inference.results import Filled
from bertwright.progress import Progress
from bertwright.randomness import Stream
from bertwright.recipes.documentation import HELD_OUT, VOCABULARY_SIZE, gather_documentation, labelled_passages
from bertwright.recipes.finetuning.finetune import finetune
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.recipes.prepare import PrepareSettings, prepare_corpus
from bertwright.recipes.pretrain import Pretrained, pretrain
from bertwright.recipes.recipe import PretrainRecipe, load_recipe
from bertwright.recipes.vocabulary import make_vocabulary
from bertwright.shards.format import SHARD_FILES
from bertwright.shards.read import open_shards
from bertwright.shards.write import belongs_to_held_out
from bertwright.tasks.pretrain import objective
from bertwright.text.documents import Document, corpus_files, read_documents
from bertwright.text.duplicates import text_digest
from bertwright.text.sentences import split_sentences
from bertwright.tokens.layout import TOKENIZER_FILES
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.training.loop import Hooks, Trainee, train, undivided
from bertwright.training.meter import Report
from bertwright.training.optimizers import build_optimizers
from bertwright.training.precision import choose_dtype
from bertwright.training.signals import StopWish
from bertwright.training.world import alone

# Share of the whole budget that stays for everything after pretraining, measured on two cores.
_AFTERWARDS = 0.22
_CALIBRATION_STEPS = 6
_SUMMARY = "quickstart.json"
_UNFINISHED = "bertwright quickstart, unfinished"
_RUN_FILES = (*MODEL_FILES, DEV, "run")
# What a quickstart makes, and the names in it.
_MADE = {
    "vocab": TOKENIZER_FILES,
    "shards": SHARD_FILES,
    "model": _RUN_FILES,
    "task": ("train.jsonl", "dev.jsonl"),
    "classifier": _RUN_FILES,
    "classifier-from-random": _RUN_FILES,
}


@dataclass(frozen=True, slots=True)
class MaskedSentence:
    """A held-out sentence with a word hidden, the word, and what the model says."""

    text: str
    hidden: str
    filled: Filled


@dataclass(frozen=True, slots=True)
class Comparison:
    """Held-out accuracy of the classifier from pretrained and from random weights, and of the majority class."""

    labels: tuple[str, ...]
    train_rows: int
    dev_rows: int
    pretrained: dict[str, float]
    scratch: dict[str, float]
    majority: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a quickstart found."""

    out: Path
    pretrained: Pretrained
    sentences: list[MaskedSentence]
    comparison: Comparison | None
    seconds: float


def quickstart(
    out: Path,
    *,
    corpus: Path | None,
    minutes: float,
    overwrite: bool,
    progress: Progress,
) -> Outcome:
    """Run the whole life into `out`, in about `minutes`.

    `corpus` replaces the text found on this machine. What was stopped or killed goes on where it was.

    Raises Stopped after saving, or UserFault where `out` holds something else, or where the corpus is too small.
    """
    begun = time.perf_counter()
    if corpus is not None:
        _check_corpus(corpus, out)
    state = _Progress(out, corpus=corpus, minutes=minutes)
    going_on = state.open(overwrite=overwrite)
    if going_on:
        progress.say(f"{out}: going on with the quickstart that was stopped there")
    try:
        outcome = _live(out, corpus, minutes, state, going_on=going_on, begun=begun, progress=progress)
    except Stopped as stop:
        raise Stopped(f"stopped and saved; the same command goes on with it, in {out}", stop.signal_number) from None
    write_atomic(out / _SUMMARY, to_json(_summary(outcome)))
    return outcome


def _live(
    out: Path,
    corpus: Path | None,
    minutes: float,
    state: _Progress,
    *,
    going_on: bool,
    begun: float,
    progress: Progress,
) -> Outcome:
    """All steps; those that are done already are passed over."""
    source = out / "corpus.jsonl" if corpus is None else corpus
    if corpus is not None:
        progress.say(f"1. text: {corpus}")
    elif not source.exists():
        progress.say("1. text: the documentation inside the installed Python packages")
        gather_documentation(source, progress)
    if not (out / "vocab").exists():
        progress.say("2. vocabulary")
        make_vocabulary([str(source)], out / "vocab", size=VOCABULARY_SIZE, progress=progress)
    if not (out / "shards").exists():
        progress.say("3. shards")
        settings = PrepareSettings(held_out=HELD_OUT)
        prepare_corpus([str(source)], out / "vocab", out / "shards", settings=settings, progress=progress)
    progress.say("4. pretraining: masked words and next sentence")
    recipe = load_recipe("quickstart")
    if not state.steps:
        left = minutes * 60 * (1 - _AFTERWARDS) - (time.perf_counter() - begun)
        state.keep_steps(_steps_within(recipe, out / "shards", left, progress))
    resume = going_on and (out / "model" / "run" / "run.json").exists()
    pretrained = pretrain(_fitted(recipe, state.steps), out / "shards", out / "model", resume=resume, progress=progress)
    curves = out / "model" / "run" / "curves.png"
    if curves.exists():
        write_atomic(out / "curves.png", curves.read_bytes())
    progress.say("5. masks in held-out sentences")
    sentences = _fill_held_out(out / "model", [str(source)])
    comparison = None
    if corpus is None:
        progress.say("6. a classifier on [CLS]: which package does a passage document?")
        comparison = _compare(out, source, progress)
    else:
        progress.say("6. a classifier: passed over, this text has no labels; bertwright finetune takes your own rows")
    return Outcome(out, pretrained, sentences, comparison, time.perf_counter() - begun)


def _check_corpus(corpus: Path, out: Path) -> None:
    if str(corpus) == "-":
        raise CorpusError("the text is read several times, and standard input only once", cure="save it to a file")
    corpus_files([str(corpus)])
    here, there = corpus.resolve(), out.resolve()
    if there in here.parents or here in (there, *there.parents):
        raise CorpusError(
            "what is read and what is written lie in each other", where=corpus, cure="choose another --out"
        )


class _Progress:
    """quickstart.json while the quickstart is under way: what was asked for, and the steps that fit into the time."""

    def __init__(self, out: Path, *, corpus: Path | None, minutes: float) -> None:
        self.out = out
        self.steps = 0
        self._asked = {"corpus": None if corpus is None else str(corpus.resolve()), "minutes": minutes}

    def open(self, *, overwrite: bool) -> bool:
        """Make the directory; returns whether one that was stopped is there to go on with. Raises UserFault."""
        path = self.out / _SUMMARY
        found = read_json(path) if path.is_file() else {}
        unfinished = found.get(_UNFINISHED)
        if isinstance(unfinished, dict) and unfinished.get("asked") == self._asked and not overwrite:
            self.steps = int(unfinished.get("steps", 0))
            return True
        if found and not isinstance(unfinished, dict) and "unigram_baseline" not in found:
            raise UserFault("is no file of a quickstart", where=path, cure="choose another --out")
        if unfinished is None and not (found and overwrite):
            cure = "choose another --out" + (", or give --overwrite to begin anew" if found else "")
            if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
                raise UserFault("exists and is not empty", where=self.out, cure=cure)
        self._clear()
        self.out.mkdir(parents=True, exist_ok=True)
        self.keep_steps(0)
        return False

    def keep_steps(self, steps: int) -> None:
        """Write down how many steps the pretraining has, so that it can be gone on with."""
        self.steps = steps
        write_atomic(self.out / _SUMMARY, to_json({_UNFINISHED: {"asked": self._asked, "steps": steps}}))

    def _clear(self) -> None:
        """Remove what an earlier quickstart made; what it never makes is refused first, and nothing is lost."""
        for name, patterns in _MADE.items():
            refuse_existing(self.out / name, overwrite=patterns)
        for name in _MADE:
            shutil.rmtree(self.out / name, ignore_errors=True)
        for name in ("corpus.jsonl", "curves.png"):
            if (self.out / _SUMMARY).exists():
                (self.out / name).unlink(missing_ok=True)


def _steps_within(recipe: PretrainRecipe, data: Path, seconds: float, progress: Progress) -> int:
    """As many steps as fit into `seconds` at the speed measured here on real batches."""
    pace = _seconds_per_step(recipe, data)
    # A multiple of what makes reports, evaluations and the end fall together.
    grid = 4 * recipe.training.log_every
    steps = max(grid, int(seconds / pace) // grid * grid)
    progress.say(f"{pace * 1000:.0f} ms a step here, so {steps:,} steps")
    return steps


def _fitted(recipe: PretrainRecipe, steps: int) -> PretrainRecipe:
    every = steps // 4
    return recipe.replaced(
        [f"training.steps={steps}", f"training.evaluate_every={every}", f"training.save_every={2 * every}"]
    )


def _seconds_per_step(recipe: PretrainRecipe, data: Path) -> float:
    shards = open_shards(data)
    vocabulary = shards.tokenizer.vocabulary
    plan = ExamplePlan(shards.shards("train"), recipe.examples, seed=0)
    builder = PretrainingBatches(plan, vocabulary)
    size = recipe.training.batch_size
    count = _CALIBRATION_STEPS + 2
    batches = [builder.build(plan.advance(Cursor(), step * size), size) for step in range(count)]
    model = Bert(recipe.model.config(len(vocabulary), vocabulary.pad_id), PRETRAINING)
    model.initialise(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    moments = [time.perf_counter()]

    def tick(_: Report) -> None:
        moments.append(time.perf_counter())

    def nothing(_: int) -> None:
        pass

    settings = recipe.training.model_copy(
        update={"steps": count, "log_every": 1, "evaluate_every": count, "save_every": count}
    )
    train(
        Trainee(model, build_optimizers(model, settings)),
        settings,
        portions=undivided(batches),
        objective=objective,
        dtype=choose_dtype(settings.precision, device),
        hooks=Hooks(report=tick, evaluate=nothing, save=nothing),
        wish=StopWish(),
        world=alone(device),
    )
    # The first steps fill caches; the median of the others is not led astray by a neighbour's burst.
    taken = [later - earlier for earlier, later in itertools.pairwise(moments[2:])]
    return statistics.median(taken)


def _held_out_documents(sources: Sequence[str]) -> Iterator[Document]:
    return (
        document
        for document in read_documents(sources)
        if belongs_to_held_out(text_digest(document.paragraphs), HELD_OUT)
    )


def _fill_held_out(model: Path, sources: Sequence[str], wanted: int = 5) -> list[MaskedSentence]:
    """Hide a word in a few sentences of documents that the model has not seen."""
    predictor = load(model)
    candidates = []
    for document in _held_out_documents(sources):
        for paragraph in document.paragraphs:
            for sentence in split_sentences(paragraph):
                words = _maskable(sentence, predictor.tokenizer)
                if words and 8 <= len(sentence.split()) <= 18:
                    candidates.append((sentence, words))
    stream = Stream(0, "quickstart sentences")
    found = []
    for number in stream.permutation(len(candidates))[:wanted].tolist():
        sentence, words = candidates[number]
        start, end = words[int(stream.below(len(words), number))]
        text = f"{sentence[:start]}[MASK]{sentence[end:]}"
        found.append(MaskedSentence(text, sentence[start:end], predictor.fill(text, top=5)[0]))
    return found


def _maskable(sentence: str, tokenizer: Tokenizer) -> list[tuple[int, int]]:
    """Where words stand that are one piece each, of three letters or more."""
    encoding = tokenizer.encode(sentence)
    pieces_of = Counter(encoding.words)
    return [
        span
        for piece, span, word in zip(encoding.pieces, encoding.spans, encoding.words, strict=True)
        if pieces_of[word] == 1 and piece.isalpha() and len(piece) >= 3
    ]


def _compare(out: Path, corpus: Path, progress: Progress) -> Comparison:
    """Fine-tune from pretrained and from random weights on the same rows, steps and settings."""
    folder = out / "task"
    folder.mkdir(exist_ok=True)
    train_rows, dev_rows = labelled_passages(corpus, HELD_OUT)
    for name, rows in (("train", train_rows), ("dev", dev_rows)):
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomic(folder / f"{name}.jsonl", content.encode())
    settings = FinetuneSettings(epochs=6, max_length=64, max_windows=1, batch_size=16, learning_rate=5e-4, dropout=0.1)
    results = {}
    for name, from_scratch in (("classifier", False), ("classifier-from-random", True)):
        progress.say("from random weights:" if from_scratch else "from the pretrained encoder:")
        results[name] = finetune(
            out / "model",
            "classify",
            folder / "train.jsonl",
            folder / "dev.jsonl",
            out / name,
            settings=settings,
            resume=(out / name / "run" / "run.json").exists(),
            from_scratch=from_scratch,
            progress=progress,
        )
    pretrained, scratch = results["classifier"], results["classifier-from-random"]
    return Comparison(
        pretrained.labels,
        len(train_rows),
        len(dev_rows),
        pretrained.scores,
        scratch.scores,
        pretrained.baseline["accuracy"],
    )


def _summary(outcome: Outcome) -> dict[str, Any]:
    return {
        "seconds": round(outcome.seconds, 1),
        "held_out": outcome.pretrained.scores,
        "unigram_baseline": outcome.pretrained.baseline,
        "sentences": [asdict(sentence) for sentence in outcome.sentences],
        "classifier": None if outcome.comparison is None else asdict(outcome.comparison),
    }
