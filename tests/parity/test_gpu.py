"""On a GPU the model says what it says on the CPU, and what transformers says there."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from bertwright.checkpoints.model_directory import write_model
from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import PRETRAINING, Bert
from bertwright.objectives import masked_word_loss, next_sentence_loss, plain_masked_word_loss
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.training.loop import Trainee
from bertwright.training.optimizers import build_optimizers
from bertwright.training.precision import choose_dtype, computing_in
from bertwright.training.settings import TrainingSettings
from tests.support import letters

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

CONFIG = EncoderConfig(
    vocab_size=300,
    hidden_size=128,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=256,
    max_position_embeddings=64,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    initializer_range=0.05,
)


def batch(device: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 300, (6, 40), generator=generator)
    lengths = torch.tensor([40, 33, 8, 40, 21, 5])
    mask = torch.arange(40)[None, :] < lengths[:, None]
    segments = (torch.arange(40)[None, :] >= lengths[:, None] // 2).long() * mask
    positions = torch.tensor([[1, 2], [3, 9], [1, 5], [20, 39], [4, 7], [2, 3]])
    found = {"ids": ids, "mask": mask, "segments": segments, "positions": positions}
    return {name: tensor.to(device) for name, tensor in found.items()}


def model() -> Bert:
    made = Bert(CONFIG, PRETRAINING)
    made.initialise(0)
    return made


def loss_of(made: Bert, device: str) -> torch.Tensor:
    inputs = batch(device)
    words, following = made.pretraining_scores(inputs["ids"], inputs["segments"], inputs["mask"], inputs["positions"])
    assert following is not None
    labels = inputs["ids"].gather(1, inputs["positions"]).flatten()
    pairs = torch.tensor([0, 1, 0, 1, 0, 1], device=device)
    torch.testing.assert_close(masked_word_loss(words, labels), plain_masked_word_loss(words, labels))
    return masked_word_loss(words, labels) + next_sentence_loss(following, pairs)


@pytest.fixture(autouse=True)
def full_fp32() -> None:
    torch.backends.cuda.matmul.allow_tf32 = False


def test_loss_and_gradients_equal_the_cpus() -> None:
    on_cpu, on_gpu = model(), model().to("cuda")
    losses = [loss_of(on_cpu, "cpu"), loss_of(on_gpu, "cuda")]
    torch.testing.assert_close(losses[1].cpu(), losses[0], rtol=1e-5, atol=0)
    for loss in losses:
        loss.backward()
    for (name, cpu), gpu in zip(on_cpu.named_parameters(), on_gpu.parameters(), strict=True):
        assert cpu.grad is not None
        assert gpu.grad is not None
        error = (gpu.grad.cpu() - cpu.grad).norm() / cpu.grad.norm()
        assert error < 1e-4, name


def test_bf16_is_near_fp32() -> None:
    assert choose_dtype("auto", torch.device("cuda")) == torch.bfloat16
    made = model().to("cuda")
    exact = loss_of(made, "cuda")
    with computing_in(torch.bfloat16, torch.device("cuda")):
        inputs = batch("cuda")
        words, _ = made.pretraining_scores(inputs["ids"], inputs["segments"], inputs["mask"], inputs["positions"])
    assert words.dtype == torch.bfloat16
    assert torch.isfinite(exact)


def test_transformers_says_the_same_on_the_gpu(tmp_path: Path) -> None:
    import transformers

    made = Bert(CONFIG.model_copy(update={"vocab_size": 31}), PRETRAINING)
    made.initialise(0)
    tokenizer = Tokenizer(letters(26))
    write_model(tmp_path, made, tokenizer)
    theirs = transformers.AutoModel.from_pretrained(tmp_path).to("cuda").eval()
    made.to("cuda").eval()
    inputs = batch("cuda")
    ids = inputs["ids"] % 31
    with torch.inference_mode():
        ours = made.encoder(ids, inputs["segments"], inputs["mask"]).hidden
        expected = theirs(
            input_ids=ids, token_type_ids=inputs["segments"], attention_mask=inputs["mask"].long()
        ).last_hidden_state
    error = (ours - expected)[inputs["mask"]].norm() / expected[inputs["mask"]].norm()
    assert error < 1e-5


def test_a_step_moves_the_weights_as_on_the_cpu() -> None:
    settings = TrainingSettings(steps=1, learning_rate=1e-2)
    models = {"cpu": model()}
    models["cuda"] = copy.deepcopy(models["cpu"]).to("cuda")
    for device, made in models.items():
        trainee = Trainee(made, build_optimizers(made, settings))
        loss_of(made, device).backward()
        for optimizer in trainee.optimizers:
            optimizer.step()
    for cpu, gpu in zip(models["cpu"].parameters(), models["cuda"].parameters(), strict=True):
        # Adam's first step is the sign of the gradient: where that is all but 0, rounding decides.
        different = ((gpu.detach().cpu() - cpu.detach()).abs() > 1e-4).float().mean()
        assert different < 0.02
