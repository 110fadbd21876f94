"""bertwright quickstart."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bertwright.cli.talk import Talk, duration, out

if TYPE_CHECKING:
    from bertwright.recipes.quickstart import Outcome


def run(
    to: Annotated[Path, typer.Option("--out", help="Directory for everything that is made.")] = Path("quickstart"),
    corpus: Annotated[Path | None, typer.Option(help="Your own text instead of what is found here.")] = None,
    minutes: Annotated[float, typer.Option(min=0.5, max=100_000, help="Time for all of it, roughly.")] = 6.5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier quickstart in --out.")] = False,
) -> None:
    """The whole life of a BERT on real text found on this machine.

    Ctrl-C saves; the same command goes on.

    Example: bertwright quickstart --minutes 6.5
    """
    from bertwright.memory import keep_big_blocks
    from bertwright.recipes.quickstart import quickstart

    keep_big_blocks()
    talk = Talk()
    _print(quickstart(to, corpus=corpus, minutes=minutes, overwrite=overwrite, progress=talk))


def _print(outcome: Outcome) -> None:
    scores, baseline = outcome.pretrained.scores, outcome.pretrained.baseline
    if outcome.sentences:
        out("")
        out("Hidden words of held-out sentences, and the model's best guesses")
    for sentence in outcome.sentences:
        guesses = "  ".join(f"{guess.word} {guess.probability:.0%}" for guess in sentence.filled.candidates)
        out(f"  {sentence.text}")
        out(f"    {sentence.hidden}?  {guesses}")
    if scores:
        out("")
        out("Held-out text                      model   baseline")
        words, unigram = scores["mlm_accuracy"], baseline["mlm_accuracy"]
        out(f"  hidden words guessed right      {words:6.1%}     {unigram:6.1%}  unigram")
        out(f"  next sentence told right        {scores['nsp_accuracy']:6.1%}      50.0%  chance")
    if comparison := outcome.comparison:
        gain = comparison.pretrained["accuracy"] - comparison.scratch["accuracy"]
        out("")
        out(
            f"Which of {len(comparison.labels)} packages does a passage document? "
            f"{comparison.train_rows:,} rows to learn from, {comparison.dev_rows:,} rows of unseen modules"
        )
        out("                                accuracy   macro F1        MCC")
        rows = {"from the pretrained encoder": comparison.pretrained, "from random weights": comparison.scratch}
        for name, values in rows.items():
            figures = "".join(f"{values[key]:>11.1%}" for key in ("accuracy", "macro_f1", "mcc"))
            out(f"  {name:<28}{figures}")
        out(f"  {'always the same package':<28}{comparison.majority:>11.1%}")
        verdict = "won" if gain > 0 else "did not win"
        out(f"  pretraining {verdict}: {gain * 100:+.1f} points of accuracy, same rows, same steps")
    where = outcome.out
    out("")
    out(f"All of it took {duration(outcome.seconds)} and lies in {where}/ (curves: {where}/curves.png). Try next:")
    text = "The function returns a new [MASK]."
    if not outcome.comparison and outcome.sentences:
        text = outcome.sentences[0].text
    # Double quotes as people write them, where the text holds nothing that a shell would take for its own.
    plain = not set('"$`\\!').intersection(text)
    out(f"  bertwright fill {where}/model " + (f'"{text}"' if plain else shlex.quote(text)))
    if outcome.comparison:
        row = '{"text": "Draw a line plot with markers on the given axes."}'
        out(f"  echo '{row}' | bertwright predict {where}/classifier")
    elif scores:
        out(f"  bertwright evaluate {where}/model {where}/shards")
    out(f"  bertwright inspect {where}/model")
