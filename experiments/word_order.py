"""Word order and context: the same word gets another vector at another place, and without positions it does not.

    python experiments/word_order.py --data DIR --out DIR

Attention itself does not know where a token stands: it sees a bag of vectors. Position embeddings tell. So in 你爱我
("you love me") and 我爱你 ("I love you") the vectors of 我 differ, and so do those of the two "I" in "I think,
therefore I am"; with the position embeddings set to 0 they are the same, in every layer. It is a property of the
encoder and holds for any weights: it is shown on random ones, drawn with each seed, and on pretrained ones.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from bertwright.checkpoints.model_directory import read_model
from bertwright.encoder.config import PRESETS
from bertwright.encoder.encoder import Encoder
from bertwright.heads.model import Bert, Parts
from bertwright.shards.read import open_shards
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary
from lab.bench import Bench, Json, go, level, parser, show
from lab.corpus import shards
from lab.picture import drawing
from lab.pretraining import held_out_of, measured, pretrained

WORDS = Vocabulary([*SPECIALS, "你", "爱", "我", "i", "think", "therefore", "am", ",", "."])
YOU_LOVE_ME, I_LOVE_YOU, TWICE = "你爱我", "我爱你", "I think, therefore I am."


def vectors(encoder: Encoder, ids: list[int]) -> torch.Tensor:
    """(layers + 1, length, hidden): what each layer says of each token, the embeddings first."""
    with torch.no_grad():
        return torch.stack(encoder(torch.tensor([ids]), all_layers=True).layers)[:, 0]


def differences(one: torch.Tensor, other: torch.Tensor) -> list[float]:
    """How long the difference is in each layer, as a share of the first vector: one, other (layers, hidden)."""
    return ((one - other).norm(dim=1) / one.norm(dim=1)).tolist()


def without_positions(encoder: Encoder) -> None:
    """All positions get the same vector, of zeros."""
    with torch.no_grad():
        encoder.embeddings.position.weight.zero_()


def framed(tokenizer: Tokenizer, text: str) -> list[int]:
    return [tokenizer.vocabulary.cls_id, *tokenizer.ids(text), tokenizer.vocabulary.sep_id]


def of_orders(encoder: Encoder, tokenizer: Tokenizer) -> list[float]:
    """我 in both sentences, which it ends in one and begins in the other."""
    one, other = (vectors(encoder, framed(tokenizer, text)) for text in (YOU_LOVE_ME, I_LOVE_YOU))
    return differences(one[:, 3], other[:, 1])


def of_twice(encoder: Encoder, tokenizer: Tokenizer) -> list[float]:
    """The first and the second "I" of one sentence."""
    ids = framed(tokenizer, TWICE)
    first, second = (place for place, number in enumerate(ids) if tokenizer.vocabulary.pieces[number] == "i")
    found = vectors(encoder, ids)
    return differences(found[:, first], found[:, second])


def random_weights(seed: int) -> Json:
    tokenizer = Tokenizer(WORDS)
    config = PRESETS["bert-mini"].model_copy(update={"vocab_size": len(WORDS)})
    model = Bert(config, Parts(pooler=False)).eval()
    model.initialise(seed)
    found = {"orders": of_orders(model.encoder, tokenizer), "twice": of_twice(model.encoder, tokenizer)}
    without_positions(model.encoder)
    return found | {
        "orders, no positions": of_orders(model.encoder, tokenizer),
        "twice, no positions": of_twice(model.encoder, tokenizer),
    }


def pretrained_weights(bench: Bench, data: Path) -> Json:
    """The two "I" of the English sentence, and what masked words cost when positions are taken away."""
    loaded = read_model(pretrained(bench, {}, data))
    model = loaded.model.eval()
    batches = held_out_of(bench, open_shards(data))
    found: Json = {"loss": measured(model, batches)["mlm_loss"]}
    if not bench.quick:  # the made text has no "I"
        found["twice"] = of_twice(model.encoder, loaded.tokenizer)
    without_positions(model.encoder)
    found["loss, no positions"] = measured(model, batches)["mlm_loss"]
    if not bench.quick:
        found["twice, no positions"] = of_twice(model.encoder, loaded.tokenizer)
    return found


def experiment(bench: Bench) -> None:
    shape = {"preset": "bert-mini"}
    runs = [bench.once(f"random/{seed}", shape, partial(random_weights, seed)) for seed in range(bench.seeds)]
    data = shards(bench)
    trained = bench.once("pretrained", {"steps": bench.steps}, lambda: pretrained_weights(bench, data))
    table = [
        {"what": title, "positions": positions, "last layer differs by": level([run[key][-1] for run in runs], 9)}
        for title, name in (("我 in 你爱我 and 我爱你, random weights", "orders"), ("two I, random weights", "twice"))
        for positions, key in (("yes", name), ("no", f"{name}, no positions"))
    ]
    table += [
        {"what": "two I, pretrained", "positions": positions, "last layer differs by": level([trained[key][-1]], 9)}
        for positions, key in (("yes", "twice"), ("no", "twice, no positions"))
        if key in trained
    ]
    losses = {"yes": round(trained["loss"], 3), "no": round(trained["loss, no positions"], 3)}
    bench.finish(table, held_out_mlm_loss_by_positions=losses)
    show(table)
    print(f"held-out MLM loss of the pretrained model: {losses['yes']}, with its positions set to 0: {losses['no']}")
    draw(bench, runs, trained)


def draw(bench: Bench, runs: list[Json], trained: Json) -> None:
    # In words, for a machine may have no font for the characters themselves.
    curves = {"orders": "one word in two orders", "twice": 'two "I" in one sentence'}
    with drawing(bench.picture, 9, 3.8) as figure:
        left, right = figure.subplots(1, 2)
        for axis, ending, title in ((left, "", "with positions"), (right, ", no positions", "positions set to 0")):
            for number, (name, label) in enumerate(curves.items()):
                for seed, run in enumerate(runs):
                    told = f"{label}, random weights" if seed == 0 else None
                    axis.plot(run[name + ending], "o-", color=f"C{number}", alpha=0.7, label=told, markersize=3)
            if f"twice{ending}" in trained:
                axis.plot(trained[f"twice{ending}"], "s--", color="C2", label='two "I", pretrained', markersize=4)
            axis.set_title(title, fontsize="medium")
            axis.set_xticks(range(len(runs[0]["twice"])))
            axis.set_xlabel("layer; 0: embeddings")
            axis.grid(alpha=0.3)
        left.set_ylim(bottom=0)
        # Nothing but rounding is left there.
        right.set_yscale("symlog", linthresh=1e-7)
        right.set_ylim(0, 1)
        left.set_ylabel("length of the difference / of the vector")
        left.legend(fontsize="small", loc="center right")


if __name__ == "__main__":
    go("word_order", parser(__doc__).parse_args(), experiment)
