"""The peer of finetune.py: transformers' Trainer on labelled rows, as its run_glue.py and run_ner.py set it up.

    python benchmarks/peers/run_task.py JOB.json

Nothing of bertwright is in here, so that it runs in any Python that has torch, transformers and accelerate. The job
names the model, the task, the files, the settings and where the predictions belong.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging

IGNORED = -100
Row = dict[str, Any]


class Rows(torch.utils.data.Dataset[Row]):
    """Rows as the collators want them; `words`: for tags, of which word each piece is."""

    def __init__(self, rows: list[Row], words: list[list[int | None]] | None = None) -> None:
        self._rows = rows
        self.words = words or []

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        return self._rows[index]


def read(path: str) -> list[Row]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def of_sentences(rows: list[Row], job: Row, tokenizer: Any, numbers: dict[str, int]) -> Rows:
    texts = [[row[name] for row in rows] for name in job["columns"]]
    encoded = tokenizer(*texts, truncation=True, max_length=job["max_length"])
    made = [{name: values[number] for name, values in encoded.items()} for number in range(len(rows))]
    for row, features in zip(rows, made, strict=True):
        features["labels"] = numbers[str(row["label"])] if numbers else float(row["score"])
    return Rows(made)


def of_words(rows: list[Row], job: Row, tokenizer: Any, numbers: dict[str, int]) -> Rows:
    """The first piece of each word bears its tag, all others are left out of the loss."""
    made, of_pieces = [], []
    for row in rows:
        encoded = tokenizer(row["words"], is_split_into_words=True, truncation=True, max_length=job["max_length"])
        words = encoded.word_ids()
        labels = [
            numbers[row["tags"][word]] if word is not None and word != before else IGNORED
            for before, word in zip([None, *words[:-1]], words, strict=True)
        ]
        made.append(dict(encoded) | {"labels": labels})
        of_pieces.append(words)
    return Rows(made, of_pieces)


def tags_of(scores: Any, made: Rows, rows: list[Row], labels: list[str]) -> list[list[str]]:
    """A tag for every word; what was cut off, or gave no piece, has none and is O."""
    found = []
    for number, row in enumerate(rows):
        tags = ["O"] * len(row["words"])
        before = None
        for place, word in enumerate(made.words[number]):
            if word is not None and word != before:
                tags[word] = labels[np.argmax(scores[number][place])]
            before = word
        found.append(tags)
    return found


def main() -> None:
    job: Row = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers'
    set_seed(job["seed"])
    train, test = read(job["train"]), read(job["test"])
    labels: list[str] = job["labels"]
    numbers = {label: number for number, label in enumerate(labels)}
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    tagging = job["task"] == "tag"
    loader = AutoModelForTokenClassification if tagging else AutoModelForSequenceClassification
    model = loader.from_pretrained(job["model"], num_labels=max(1, len(labels)), dtype=torch.float32)
    make = of_words if tagging else of_sentences
    collator = (DataCollatorForTokenClassification if tagging else DataCollatorWithPadding)(tokenizer)
    arguments = TrainingArguments(
        output_dir=job["out"],
        num_train_epochs=job["epochs"],
        per_device_train_batch_size=job["batch_size"],
        per_device_eval_batch_size=64,
        learning_rate=job["learning_rate"],
        warmup_steps=job["warmup_steps"],
        weight_decay=job["weight_decay"],
        adam_epsilon=job["adam_epsilon"],
        lr_scheduler_type="linear",
        bf16=job["bf16"],
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        seed=job["seed"],
        disable_tqdm=True,
    )
    trainer = Trainer(model, arguments, train_dataset=make(train, job, tokenizer, numbers), data_collator=collator)
    training = trainer.train().metrics["train_runtime"]
    made = make(test, job, tokenizer, numbers)
    scores = trainer.predict(made).predictions
    if tagging:
        predicted: list[Any] = tags_of(scores, made, test, labels)
    elif labels:
        predicted = [labels[number] for number in np.argmax(scores, axis=-1)]
    else:
        predicted = [float(score) for score in np.reshape(scores, -1)]
    said = {"predicted": predicted, "training": training}
    Path(job["predictions"]).write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main()
