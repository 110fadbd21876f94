"""The peer of time_to_loss.py: transformers' Trainer with DataCollatorForLanguageModeling, as its run_mlm.py has it.

    python benchmarks/peers/run_mlm.py TASK.json

Nothing of bertwright is in here, so that it runs in any Python that has torch, transformers and accelerate. The task
names what to do (`tokenize`, `train` or `measure`) and where its result belongs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.utils import logging

IGNORED = -100


class Blocks(torch.utils.data.Dataset[dict[str, list[int]]]):
    """Blocks of equal length as the collator wants them; what is special need not be looked up for every batch."""

    def __init__(self, ids: NDArray[np.integer], special: Sequence[int]) -> None:
        self._ids = ids
        self._special = np.isin(ids, special)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return {
            "input_ids": self._ids[index].tolist(),
            "token_type_ids": [0] * self._ids.shape[1],
            "attention_mask": [1] * self._ids.shape[1],
            "special_tokens_mask": self._special[index].astype(int).tolist(),
        }


class Watch(TrainerCallback):
    """Tells the seconds spent on training, keeps weights at set steps, and takes the time for that out again."""

    def __init__(self, folder: Path, every: int, steps: int) -> None:
        self._folder, self._every, self._steps = folder, every, steps
        self._lost = 0.0
        self._begin = 0.0
        self.began_at = 0.0
        self.seconds: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.began_at, self._begin = time.time(), time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002  # its own names
        now = time.perf_counter()
        self.seconds.append(now - self._begin - self._lost)
        if state.global_step == self._steps or (self._every and state.global_step % self._every == 0):
            tensors = {name: value.detach().clone() for name, value in kwargs["model"].named_parameters()}
            save_file(tensors, self._folder / f"{state.global_step:08d}.safetensors")
        self._lost += time.perf_counter() - now


def tokenize(task: dict[str, Any]) -> dict[str, Any]:
    """Documents -> one long row of ids -> blocks (`group_texts`); those of held-out documents get their masks here."""
    start = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(task["vocab"])
    counts = {}
    blocks = {}
    for split, path in task["documents"].items():
        with Path(path).open(encoding="utf-8") as lines:
            texts = [json.loads(line)["text"] for line in lines]
        ids: list[int] = []
        for first in range(0, len(texts), 1000):
            for row in tokenizer(texts[first : first + 1000])["input_ids"]:
                ids += row
        whole = len(ids) // task["length"] * task["length"]
        blocks[split] = np.array(ids[:whole], dtype=np.int32).reshape(-1, task["length"])
        counts[split] = {"documents": len(texts), "tokens": len(ids), "blocks": len(blocks[split])}
    np.save(task["blocks"], blocks["train"])
    seconds = time.perf_counter() - start

    chance = np.random.default_rng(0)
    chosen = chance.permutation(len(blocks["held_out"]))[: task["held_out_rows"]]
    rows = Blocks(blocks["held_out"][np.sort(chosen)], tokenizer.all_special_ids)
    torch.manual_seed(0)
    batch = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)([rows[i] for i in range(len(rows))])
    np.savez(task["held_out"], **{name: values.numpy().astype(np.int32) for name, values in batch.items()})
    return {"seconds": seconds, **counts}


def build(task: dict[str, Any], attention: str) -> BertForMaskedLM:
    config = BertConfig(**task["config"], attn_implementation=attention)  # type: ignore[call-arg]
    return BertForMaskedLM(config)


def train(task: dict[str, Any]) -> dict[str, Any]:
    """Train for a number of steps; the result tells the seconds of training at each of them."""
    tokenizer = AutoTokenizer.from_pretrained(task["vocab"])
    torch.manual_seed(task["seed"])
    model = build(task, task["attention"])
    folder = Path(task["folder"])
    watch = Watch(folder, task["save_every"], task["steps"])
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        max_steps=task["steps"],
        per_device_train_batch_size=task["batch"],
        learning_rate=task["rate"],
        lr_scheduler_type="linear",
        warmup_steps=task["warmup_steps"],
        optim="adamw_torch_fused",
        weight_decay=task["weight_decay"],
        adam_beta1=task["adam_beta1"],
        adam_beta2=task["adam_beta2"],
        adam_epsilon=task["adam_epsilon"],
        max_grad_norm=task["clip_norm"],
        bf16=task["bf16"],
        use_cpu=True,
        seed=task["seed"],
        dataloader_num_workers=task["workers"],
        dataloader_drop_last=True,
        dataloader_pin_memory=False,
        # Else the Trainer would take away what is special before the collator sees it, which then asks row by row.
        remove_unused_columns=False,
        logging_steps=max(1, task["steps"] // 50),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Blocks(np.load(task["blocks"]), tokenizer.all_special_ids),
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
        callbacks=[watch],
    )
    trainer.train()
    with (folder / "metrics.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(values) + "\n" for values in trainer.state.log_history)
    return {
        "began_at": watch.began_at,
        "seconds": watch.seconds,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Mean loss over the hidden words of the held-out rows, for each file of weights and each kind of rows."""
    model = build(task, "sdpa")
    model.train(mode=False)
    rows = {name: torch.from_numpy(values).long() for name, values in np.load(task["held_out"]).items()}
    found = []
    for path in task["weights"]:
        tensors = load_file(path)
        parameters = dict(model.named_parameters())
        if tensors.keys() != parameters.keys():
            sys.exit(f"{path}: other weights than the model has: {sorted(tensors.keys() ^ parameters.keys())}")
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(tensors[name])
        losses = [losses_of(model, rows, first, bf16=task["bf16"]) for first in range(0, len(rows["labels"]), 64)]
        kinds = rows["kind"][:, None].expand_as(rows["labels"])[rows["labels"] != IGNORED]
        each = torch.cat(losses)
        found.append([float(each.mean()), *(float(each[kinds == kind].mean()) for kind in (0, 1))])
    return {"losses": found, "hidden_words": int((rows["labels"] != IGNORED).sum())}


def losses_of(model: BertForMaskedLM, rows: dict[str, torch.Tensor], first: int, *, bf16: bool) -> torch.Tensor:
    """The loss of each hidden word of 64 rows; the vocabulary is looked at there alone, which changes no value."""
    some = {name: values[first : first + 64] for name, values in rows.items()}
    hidden = some["labels"] != IGNORED
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        states = model.bert(
            input_ids=some["input_ids"],
            attention_mask=some["attention_mask"],
            token_type_ids=some["token_type_ids"],
        ).last_hidden_state
        scores = model.cls(states[hidden])
    return functional.cross_entropy(scores.float(), some["labels"][hidden], reduction="none")


def main() -> None:
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    result = {"tokenize": tokenize, "train": train, "measure": measure}[task["do"]](task)
    Path(task["result"]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
