"""The files in which a fine-tuning shows its model on the dev rows; a task has those that it has something for.

OUT/dev/classes.json      precision, recall, F1 and support of each label or kind
OUT/dev/errors.jsonl      the rows that were answered wrong, the worst first
OUT/dev/confusion.png     gold labels against predicted ones; "no. 2": the second, in a script that no font has
OUT/dev/reliability.png   how sure the model is against how often it is right
OUT/dev/scatter.png       numbers wanted against numbers given
OUT/dev/curve.png         loss, dev scores and learning rate over the steps
"""

from __future__ import annotations

from pathlib import Path

from bertwright.checkpoints.finetuned_card import PICTURES
from bertwright.checkpoints.model_directory import DEV
from bertwright.files import PARTIAL, beside, storage_faults

CLASSES, ERRORS = "classes.json", "errors.jsonl"
CONFUSION, RELIABILITY, SCATTER, CURVE = "confusion.png", "reliability.png", "scatter.png", "curve.png"
FILES = (CLASSES, ERRORS, *PICTURES)


def clear_dev(out: Path) -> None:
    """Remove what an earlier fine-tuning showed, and nothing else that may lie there."""
    folder = out / DEV
    with storage_faults(folder):
        if folder.is_dir():
            for name in FILES:
                (folder / name).unlink(missing_ok=True)
                beside(folder / name, PARTIAL).unlink(missing_ok=True)
            if not any(folder.iterdir()):
                folder.rmdir()
