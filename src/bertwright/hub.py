"""Models of the Hugging Face hub by their names, as google-bert/bert-base-uncased: fetched once, kept in its cache."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from bertwright.errors import ModelError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_DESCRIPTION = ["config.json", "vocab.txt", "added_tokens.json", "tokenizer*.json", "bertwright.json"]
_SENTENCES = ["modules.json", "sentence_bert_config.json", "*_Pooling/config.json"]
_SAFETENSORS = ["model.safetensors*", "model-*.safetensors"]
_BIN = ["pytorch_model.bin*", "pytorch_model-*.bin"]


def located(path: Path, *, weights: bool = True) -> Path:
    """The directory that a path names: itself or, where there is none and it reads like a name of the hub, the model's.

    What is in the cache is not fetched again, and is used without a connection too. weights: whether they are wanted.
    Raises ModelError where the hub has no such model, or cannot be reached.
    """
    name = str(path)
    # Within a folder that is there, it is a slip of the pen.
    if path.exists() or not _NAME.fullmatch(name) or path.parent.is_dir():
        return path
    if find_spec("huggingface_hub") is None:
        cure = "a model of the hub needs the extra `hub`: pip install 'bertwright[hub]'"
        raise ModelError("no such directory", where=name, cure=cure)
    found = _fetch(name, [*_DESCRIPTION, *_SENTENCES, *(_SAFETENSORS if weights else [])])
    if weights and not any(found.glob("*.safetensors")):
        found = _fetch(name, [*_DESCRIPTION, *_SENTENCES, *_BIN])
    return found


def _fetch(name: str, patterns: list[str]) -> Path:
    # Not imported before it is needed: it takes a second.
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import (  # noqa: PLC0415
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except GatedRepoError:
        what = "is on the hub, but its owner lets only those in who asked"
        raise ModelError(what, where=name, cure=f"ask at huggingface.co/{name}, then `hf auth login`") from None
    except (RepositoryNotFoundError, HFValidationError):
        raise ModelError("no such directory, and no such model on the hub", where=name) from None
    except LocalEntryNotFoundError:
        what = "no such directory; the hub cannot be reached, and its cache does not hold this model"
        raise ModelError(what, where=name, cure="check the connection, HF_HUB_OFFLINE and HF_ENDPOINT") from None
    except HfHubHTTPError as error:
        raise ModelError(f"the hub answered: {str(error).splitlines()[0]}", where=name) from None
