"""On a GPU the model says what it says on the CPU, and what transformers says there."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from bertwright.checkpoints.model_directory import write_model
from bertwright.encoder import encoder, varlen
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


# Rows of 64 places with sequences of 40 and 20, of 64, of 16 four times, and of 4 at most often.
PACKED = torch.zeros(4, 64, dtype=torch.long)
PACKED[0, :40], PACKED[0, 40:60] = 1, 2
PACKED[1] = 1
PACKED[2] = torch.arange(64) // 16 + 1
PACKED[3] = torch.arange(64) // 4 + 1


def packed_ids(seed: int) -> torch.Tensor:
    return torch.randint(5, 300, PACKED.shape, generator=torch.Generator().manual_seed(seed)).to("cuda")


def encoded(made: Bert, inputs: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    numbers = PACKED.to("cuda")
    with computing_in(dtype, torch.device("cuda")):
        hidden: torch.Tensor = made.encoder(inputs, None, numbers, packed=True).hidden
    return hidden[numbers > 0].float()


needs_kernel = pytest.mark.skipif(not varlen._HAS_KERNEL, reason="torch has no varlen kernel before 2.10")


@needs_kernel
def test_packed_sequences_by_the_varlen_kernel_are_near_those_under_a_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bf16 both round; the kernel may be no further from fp32 than the plain path is, but for a little."""

    def run(dtype: torch.dtype, *, apart: bool) -> list[torch.Tensor]:
        calls = 0

        def counted(*parts: object) -> torch.Tensor:
            nonlocal calls
            calls += 1
            return kernel(*parts)

        with monkeypatch.context() as patch:
            patch.setattr(varlen, "_kernel", lambda: counted)
            if not apart:
                patch.setattr(encoder, "attends_apart_on", lambda device: device.type == "none")
            made = model().to("cuda")
            hidden = encoded(made, packed_ids(1), dtype)
            # A weighted sum: the plain one of a normed vector is the same whatever the vector is.
            (hidden * torch.linspace(-1, 1, hidden.shape[1], device="cuda")).sum().backward()
        assert calls == (CONFIG.num_hidden_layers if apart else 0)
        gradients = [parameter.grad for parameter in made.encoder.parameters() if parameter.grad is not None]
        return [hidden.detach(), *gradients]

    kernel = varlen._kernel()
    exact = run(torch.float32, apart=False)
    masked, apart = run(torch.bfloat16, apart=False), run(torch.bfloat16, apart=True)
    assert len(exact) == len(masked) == len(apart)
    for wanted, plain, found in zip(exact, masked, apart, strict=True):
        scale = wanted.norm() + 1e-3  # the bias of the keys has a gradient of 0
        plain_error, error = (plain - wanted).norm() / scale, (found - wanted).norm() / scale
        assert error < 1.5 * plain_error + 0.005
        assert error < 0.1


@needs_kernel
def test_a_changed_sequence_changes_no_other_to_the_last_bit() -> None:
    made, one = model().to("cuda").eval(), packed_ids(1)
    other = one.clone()
    changed = torch.zeros_like(PACKED, dtype=torch.bool)
    changed[0, 40:60] = changed[3, 12:16] = True
    other[changed.to("cuda")] = packed_ids(2)[changed.to("cuda")]
    with torch.inference_mode():
        before, after = (encoded(made, inputs, torch.bfloat16) for inputs in (one, other))
    inside = changed[PACKED > 0].to("cuda")
    assert torch.equal(before[~inside], after[~inside])
    assert not torch.isclose(before[inside], after[inside]).all(dim=-1).any()
