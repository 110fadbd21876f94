"""WordPiece ids of real text: the `tokenizers` library and bertwright, in turn, on one core.

    python benchmarks/wordpiece.py --data FOLDER          FOLDER holds raw/en, raw/zh and vocab (see --help)
    python benchmarks/wordpiece.py --data FOLDER --json

Peer: BertWordPieceTokenizer of `tokenizers`, by `encode` text by text and by `encode_batch`, on one thread; the faster
of the two counts. Ours stands there twice: as arrays, which is what preparing a corpus takes, and as lists. Texts are
paragraphs. Every contender starts anew in a process of its own, its caches empty, in turn, for several rounds; the
figure is the median of the rounds. The ids are compared, and what differs is told.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

from bertwright.text.documents import read_documents
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import Vocabulary

TEXTS = {
    "English": ("raw/en", "bert-base-uncased-vocab.txt", True),
    "Chinese": ("raw/zh", "bert-base-chinese-vocab.txt", True),
    "Latin script with accents": ("raw/en", "bert-base-multilingual-cased-vocab.txt", False),
}
ACCENTS = str.maketrans("aeioucnAEIOUCN", "áéîöüçñÁÉÎÖÜÇÑ")
CONTENDERS = ("arrays", "lists", "encode", "encode_batch")
OURS = {"arrays": "", "lists": ", as lists"}


def texts_of(data: Path, name: str, megabytes: float) -> list[str]:
    """Paragraphs of some `megabytes`, always the same ones, from all files of the folder alike."""
    folder, _, _ = TEXTS[name]
    paragraphs = [text for document in read_documents([str(data / folder)]) for text in document.paragraphs]
    chance = random.Random(0)
    chance.shuffle(paragraphs)
    found, size = [], 0
    for text in paragraphs:
        if "accents" in name:
            # One word in five is written with accents, as in much of Europe.
            words = [word.translate(ACCENTS) if chance.random() < 0.2 else word for word in text.split(" ")]
            text = " ".join(words)  # noqa: PLW2901  # the text is now that
        found.append(text)
        size += len(text.encode())
        if size > megabytes * 1e6:
            break
    return found


def tokenizers_of(data: Path, name: str) -> tuple[Tokenizer, BertWordPieceTokenizer]:
    _, vocabulary, lowercase = TEXTS[name]
    path = data / "vocab" / vocabulary
    peer = BertWordPieceTokenizer(str(path), lowercase=lowercase, strip_accents=lowercase)
    return Tokenizer(Vocabulary.read(path), lowercase=lowercase), peer


def child(data: Path, name: str, contender: str, megabytes: float) -> None:
    texts = texts_of(data, name, megabytes)
    ours, peer = tokenizers_of(data, name)
    start = time.perf_counter()
    if contender == "arrays":
        ours.arrays(texts)
    elif contender == "lists":
        ours.ids_many(texts)
    elif contender == "encode":
        for text in texts:
            peer.encode(text, add_special_tokens=False).ids  # noqa: B018  # reading the ids is part of the work
    else:
        for encoding in peer.encode_batch(texts, add_special_tokens=False):
            encoding.ids  # noqa: B018
    print(time.perf_counter() - start)


def compare(data: Path, name: str, megabytes: float) -> tuple[float, int, int]:
    """Megabytes of text, texts, and texts whose ids differ."""
    texts = texts_of(data, name, megabytes)
    ours, peer = tokenizers_of(data, name)
    theirs = [encoding.ids for encoding in peer.encode_batch(texts, add_special_tokens=False)]
    differing = sum(one != two for one, two in zip(ours.ids_many(texts), theirs, strict=True))
    return sum(len(text.encode()) for text in texts) / 1e6, len(texts), differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with raw/en, raw/zh and vocab/bert-base-*.txt")
    parser.add_argument("--megabytes", type=float, default=20.0, help="text of each kind")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, contender = arguments.child
        child(arguments.data, name, contender, arguments.megabytes)
        return
    environment = os.environ | {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    rows = []
    for name in TEXTS:
        seconds: dict[str, list[float]] = {contender: [] for contender in CONTENDERS}
        for number in range(arguments.rounds):
            for contender in CONTENDERS:
                command = [sys.executable, __file__, "--data", str(arguments.data)]
                command += ["--megabytes", str(arguments.megabytes), "--child", name, contender]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
                seconds[contender].append(float(done.stdout))
                print(f"{name}, round {number + 1} of {arguments.rounds}: {contender}", file=sys.stderr)
        size, texts, differing = compare(arguments.data, name, arguments.megabytes)
        print(f"{name}: {size:.1f} MB in {texts:,} texts; the ids of {differing:,} differ", file=sys.stderr)
        rates = {contender: size / statistics.median(values) for contender, values in seconds.items()}
        peer = max(rates["encode"], rates["encode_batch"])
        rows += [
            {
                "name": f"WordPiece, {name}, one core{form}",
                "peer": round(peer, 2),
                "ours": round(rates[contender], 2),
                "unit": "MB/s",
                "ratio": round(rates[contender] / peer, 2),
                "texts": texts,
                "differing": differing,
            }
            for contender, form in OURS.items()
        ]
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    if arguments.json:
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))
        return
    print(machine)
    for row in rows:
        print(f"{row['ratio']:>8.2f}x  {row['name']}: {row['ours']} MB/s, peer {row['peer']} MB/s")


if __name__ == "__main__":
    main()
