from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bertwright.checkpoints.model_directory import read_model, write_model
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import UserFault
from bertwright.heads.model import PRETRAINING, Bert
from bertwright.inference.predictor import load
from bertwright.progress import Silent
from bertwright.recipes.extension import extend_vocabulary
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary

PIECES = [*SPECIALS, "the", "cat", "##s", "car", "##dio", "##gram", "a", "."]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model of a vocabulary that splits `cardiogram`, with three rows more than pieces."""
    config = EncoderConfig(
        vocab_size=len(PIECES) + 3,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    bert = Bert(config, PRETRAINING)
    bert.initialise(0)
    with torch.no_grad():
        assert bert.masked_words is not None
        bert.masked_words.bias.copy_(torch.arange(len(PIECES) + 3))
    (tmp_path / "model").mkdir()
    write_model(tmp_path / "model", bert, Tokenizer(Vocabulary(PIECES)))
    return tmp_path / "model"


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    # cardiogram is 3 pieces and stands there twice: 4 pieces saved; cats 2 pieces, three times: 3; zebra is [UNK]: 1.
    text = "The cardiogram. A cardiogram. The cats. The cats. Cats. A zebra. The cat."
    (tmp_path / "field.jsonl").write_text(json.dumps({"text": text}) + "\n")
    return str(tmp_path / "field.jsonl")


@pytest.mark.parametrize("add", [1, 2, 3, 10])
def test_words_that_save_most_come_first_and_begin_as_the_mean_of_their_pieces(
    model: Path, corpus: str, tmp_path: Path, add: int
) -> None:
    found = extend_vocabulary(model, [corpus], tmp_path / "out", add=add, workers=1, progress=Silent())
    assert found.words == ("cardiogram", "cats", "zebra")[:add]
    old, new = read_model(model), read_model(tmp_path / "out")
    assert new.tokenizer.vocabulary.pieces == (*PIECES, *found.words)
    assert new.model.config.vocab_size == max(len(PIECES) + 3, len(PIECES) + len(found.words))

    words, before = (m.model.encoder.embeddings.word.weight for m in (new, old))
    assert torch.equal(words[: len(PIECES)], before[: len(PIECES)])
    number = new.tokenizer.vocabulary.id("cardiogram")
    spelled = [PIECES.index(piece) for piece in ("car", "##dio", "##gram")]
    torch.testing.assert_close(words[number], before[spelled].mean(dim=0))
    assert new.model.masked_words is not None
    assert new.model.masked_words.bias[number].item() == pytest.approx(sum(spelled) / 3)

    # Of 20 words and marks, the two cardiograms save four pieces and the three cats three; the zebra was one [UNK].
    assert found.fertility[0] == pytest.approx(found.fertility[1] + (4 + 3 * (add > 1)) / 20)
    assert list(found.unknown) == pytest.approx([1 / 20, 0 if add > 2 else 1 / 20])
    record = json.loads((tmp_path / "out/bertwright.json").read_text())
    assert (record["lineage"][-1]["step"], record["lineage"][-1]["words"]) == ("extend", len(found.words))


def test_text_without_the_new_words_gets_the_same_vectors(model: Path, corpus: str, tmp_path: Path) -> None:
    extend_vocabulary(model, [corpus], tmp_path / "out", add=2, workers=1, progress=Silent())
    texts = ["The cat.", "a cat the cat"]
    np.testing.assert_array_equal(load(model).embed(texts), load(tmp_path / "out").embed(texts))


def test_faults_are_told_before_anything_is_written(model: Path, corpus: str, tmp_path: Path) -> None:
    with pytest.raises(UserFault, match="is the model to start from, and would be lost"):
        extend_vocabulary(model, [corpus], model, add=1, overwrite=True, progress=Silent())
    (tmp_path / "known.jsonl").write_text('{"text": "The cat."}\n')
    with pytest.raises(UserFault, match="holds no word that the vocabulary splits"):
        extend_vocabulary(model, [str(tmp_path / "known.jsonl")], tmp_path / "out", add=1, workers=1, progress=Silent())
    assert not (tmp_path / "out").exists()
