"""A checkpoint that TensorFlow wrote from the original model code, and what that code computes from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from bertwright.errors import ModelError
from bertwright.interchange.google.bundle import Bundle
from bertwright.interchange.google.checkpoint import read_checkpoint, write_checkpoint
from bertwright.interchange.google.files import Folder
from bertwright.interchange.google.names import is_of_training, to_transformers
from bertwright.interchange.google.table import read_table, write_table
from bertwright.progress import Silent
from bertwright.tokens.vocabulary import SPECIALS

pytestmark = pytest.mark.data
PREFIX = "bert_model.ckpt"


@pytest.fixture
def google_tiny(tmp_path: Path, data_dir: Path) -> Path:
    """The checkpoint of three layers, with a vocabulary of as many pieces, which it lacks."""
    folder = tmp_path / "google-tiny"
    shutil.copytree(data_dir / "reference/google-tiny", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    (folder / "vocab.txt").write_text("\n".join([*SPECIALS, *(f"w{number}" for number in range(518))]))
    return folder


def test_outputs_are_those_of_the_original_code(google_tiny: Path) -> None:
    reference = np.load(google_tiny / "reference.npz")
    ids, mask, segments = (torch.from_numpy(reference[name]) for name in ("ids", "mask", "tt"))
    loaded = read_checkpoint(google_tiny, progress=Silent())
    assert loaded.unused == ()
    with torch.inference_mode():
        hidden = loaded.model.encoder(ids, segments, mask.bool()).hidden
        assert loaded.model.next_sentence is not None
        pooled = loaded.model.pooled(hidden)
        found = {
            "seq": hidden,
            "pooled": pooled,
            "logits": loaded.model.word_scores(hidden.flatten(0, 1)).view(*ids.shape, -1),
            "nsp": loaded.model.next_sentence(pooled),
        }
    here = mask.numpy().astype(bool)
    for name, tensor in found.items():
        difference = np.abs(tensor.numpy() - reference[name])
        assert (difference if name in ("pooled", "nsp") else difference[here]).max() < 1e-5, name


def test_what_is_written_again_is_the_same(google_tiny: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    write_checkpoint(again, read_checkpoint(google_tiny, progress=Silent()), say=Silent().say)
    data, whole = ((folder / f"{PREFIX}.data-00000-of-00001").read_bytes() for folder in (again, google_tiny))
    # All but the number of the step, which is the last of the variables.
    assert data == whole[:-8]
    entries = Bundle(Folder(google_tiny), PREFIX).entries
    assert entries.pop("global_step").size == 8
    assert Bundle(Folder(again), PREFIX).entries == entries


def test_an_index_is_written_as_tensorflow_writes_it(google_tiny: Path) -> None:
    index = (google_tiny / f"{PREFIX}.index").read_bytes()
    assert write_table(list(read_table(index))) == index


@pytest.mark.parametrize(
    ("name", "variables", "of_training", "vocabulary"),
    [("Johnny-xyz_News_Text_class", 202, 0, 5981), ("RadhikaSatam_CoVBERT", 206, 413, 30522)],
)
def test_real_indexes(
    data_dir: Path, tmp_path: Path, name: str, variables: int, of_training: int, vocabulary: int
) -> None:
    """One of an encoder and a masked-word head; one compressed, with two slots of Adam for each variable."""
    shutil.copyfile(data_dir / f"checkpoints/tf_ckpt_index_only/{name}.{PREFIX}.index", tmp_path / f"{PREFIX}.index")
    entries = Bundle(Folder(tmp_path), PREFIX).entries
    assert entries["bert/embeddings/word_embeddings"].shape == (vocabulary, 768)
    assert sum(map(is_of_training, entries)) == of_training
    assert len([name for name in entries if to_transformers(name)]) == variables == len(entries) - of_training
    with pytest.raises(ModelError, match=r"data-00000-of-00001: no such file; `bert/embeddings/LayerNorm/beta` lies"):
        Bundle(Folder(tmp_path), PREFIX).read(["bert/embeddings/LayerNorm/beta"])
