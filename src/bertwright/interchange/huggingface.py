"""transformers' directories. Ours are such directories already (law 2), so writing one is reading and writing."""

from __future__ import annotations

from pathlib import Path

from bertwright.checkpoints.model_directory import MODEL_FILES, read_model, write_model
from bertwright.files import new_directory
from bertwright.progress import Progress


def convert_to_huggingface(source: Path, destination: Path, *, overwrite: bool, progress: Progress) -> None:
    """Write a directory that AutoModel and AutoTokenizer load as it lies, whatever age `source` has.

    Raises ModelError where `source` is no BERT.
    """
    loaded = read_model(source)
    with new_directory(destination, overwrite=MODEL_FILES if overwrite else (), say=progress.say) as partial:
        write_model(
            partial, loaded.model, loaded.tokenizer, labels=loaded.labels, record=loaded.record, name=destination.name
        )
    for name in loaded.unused:
        progress.say(f"left out: {name}, for which there is no head here")
    progress.say(f"{source} -> {destination}")
