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
from bertwright.errors import CorpusError
from bertwright.examples.plan import Cursor, ExamplePlan
from bertwright.files import read_json, refuse_existing, to_json, write_atomic
from bertwright.heads.model import PRETRAINING, Bert
from bertwright.inference.predictor import load
from bertwright.inference.results import Filled
from bertwright.progress import Progress
from bertwright.randomness import Stream
from bertwright.recipes.documentation import gather_documentation, labelled_passages
from bertwright.recipes.finetune import FinetuneSettings, finetune
from bertwright.recipes.prepare import PrepareSettings, prepare_corpus
from bertwright.recipes.pretrain import Pretrained, PretrainRecipe, load_recipe, pretrain
from bertwright.recipes.vocabulary import make_vocabulary
from bertwright.shards.read import open_shards
from bertwright.shards.write import belongs_to_held_out
from bertwright.tasks.pretrain import objective
from bertwright.text.documents import Document, corpus_files, read_documents
from bertwright.text.duplicates import text_digest
from bertwright.text.sentences import split_sentences
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.training.loop import Hooks, Report, Trainee, train
from bertwright.training.optimizers import build_optimizers
from bertwright.training.precision import choose_dtype
from bertwright.training.signals import StopWish

VOCABULARY_SIZE = 8000
HELD_OUT = 0.08
# Share of the whole budget that stays for everything after pretraining, measured on two cores.
_AFTERWARDS = 0.22
_CALIBRATION_STEPS = 6
_SUMMARY = "quickstart.json"
_MADE = ("vocab", "shards", "model", "task", "classifier", "classifier-from-random")


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

    `corpus` replaces the text found on this machine.

    Raises UserFault where `out` holds something, or where the corpus is too small.
    """
    begun = time.perf_counter()
    if corpus is not None:
        if str(corpus) == "-":
            raise CorpusError("the text is read several times, and standard input only once", cure="save it to a file")
        corpus_files([str(corpus)])
    _make_room(out, overwrite=overwrite)
    if corpus is None:
        progress.say("1. text: the documentation inside the installed Python packages")
        source = out / "corpus.jsonl"
        gather_documentation(source, progress)
    else:
        progress.say(f"1. text: {corpus}")
        source = corpus
    progress.say("2. vocabulary")
    make_vocabulary([str(source)], out / "vocab", size=VOCABULARY_SIZE, progress=progress)
    progress.say("3. shards")
    prepare_corpus(
        [str(source)], out / "vocab", out / "shards", settings=PrepareSettings(held_out=HELD_OUT), progress=progress
    )
    progress.say("4. pretraining: masked words and next sentence")
    left = minutes * 60 * (1 - _AFTERWARDS) - (time.perf_counter() - begun)
    recipe = _fitted(load_recipe("quickstart"), out / "shards", left, progress)
    pretrained = pretrain(recipe, out / "shards", out / "model", progress=progress)
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
    outcome = Outcome(out, pretrained, sentences, comparison, time.perf_counter() - begun)
    write_atomic(out / _SUMMARY, to_json(_summary(outcome)))
    return outcome


def _make_room(out: Path, *, overwrite: bool) -> None:
    """Make `out`; an unfinished quickstart in it is begun anew, anything else is refused or, if wished, replaced."""
    started = {"bertwright quickstart": "started, not finished"}
    earlier = (out / _SUMMARY).exists()
    # Only what an earlier quickstart made is ever replaced.
    replaced = earlier and (overwrite or read_json(out / _SUMMARY) == started)
    refuse_existing(out, overwrite=("*",) if replaced else ())
    if replaced:
        for name in _MADE:
            shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / _SUMMARY, to_json(started))


def _fitted(recipe: PretrainRecipe, data: Path, seconds: float, progress: Progress) -> PretrainRecipe:
    """The recipe with as many steps as fit into `seconds` at the speed measured here on real batches."""
    pace = _seconds_per_step(recipe, data)
    # A multiple of what makes reports, evaluations and the end fall together.
    grid = 4 * recipe.training.log_every
    steps = max(grid, int(seconds / pace) // grid * grid)
    every = steps // 4
    progress.say(f"{pace * 1000:.0f} ms a step here, so {steps:,} steps")
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
        batches=batches,
        objective=objective,
        dtype=choose_dtype(settings.precision, device),
        hooks=Hooks(report=tick, evaluate=nothing, save=nothing),
        wish=StopWish(),
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
    folder.mkdir()
    train_rows, dev_rows = labelled_passages(corpus, HELD_OUT)
    for name, rows in (("train", train_rows), ("dev", dev_rows)):
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomic(folder / f"{name}.jsonl", content.encode())
    settings = FinetuneSettings(epochs=6, max_length=64, batch_size=16, learning_rate=5e-4, dropout=0.1)
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
            from_scratch=from_scratch,
            progress=progress,
        )
    pretrained, scratch = results["classifier"], results["classifier-from-random"]
    return Comparison(
        pretrained.labels, len(train_rows), len(dev_rows), pretrained.scores, scratch.scores, pretrained.majority
    )


def _summary(outcome: Outcome) -> dict[str, Any]:
    return {
        "seconds": round(outcome.seconds, 1),
        "held_out": outcome.pretrained.scores,
        "unigram_baseline": outcome.pretrained.baseline,
        "sentences": [asdict(sentence) for sentence in outcome.sentences],
        "classifier": None if outcome.comparison is None else asdict(outcome.comparison),
    }
