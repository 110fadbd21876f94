"""bertwright pretrain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import Talk, duration


def run(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, as bert-base or quickstart, or a TOML file.")],
    data: Annotated[str, typer.Option(help="Shard directory, made by prepare, or its address, as s3://...")],
    out: Annotated[Path, typer.Option(help="Directory that becomes the model.")],
    init: Annotated[Path | None, typer.Option(help="Model directory to start from instead of random weights.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting, as in training.steps=1000.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew, whatever --out holds.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write the figures for TensorBoard too.")] = False,
    cache_dir: Annotated[Path | None, typer.Option(help="Where shards from an address are kept a while.")] = None,
    cache_size: Annotated[str, typer.Option(help="Disk that they may take there.")] = "50GB",
) -> None:
    """Pretrain an encoder on masked words and next sentence.

    Ctrl-C saves; --resume goes on and ends in the same weights. Several processes train together under torchrun.

    Example: bertwright pretrain bert-small --data shards --out model --set training.steps=20000

    Example: torchrun --nproc-per-node 8 -m bertwright pretrain bert-base --data shards --out model
    """
    from bertwright.memory import keep_big_blocks
    from bertwright.recipes.pretrain import pretrain
    from bertwright.recipes.recipe import load_recipe
    from bertwright.shards.cache import ShardCache, size_of
    from bertwright.training.world import open_world

    keep_big_blocks()
    talk = Talk()
    chosen = load_recipe(recipe, set_)
    cache = ShardCache(cache_dir, size_of(cache_size, "--cache-size"), talk.say)
    with open_world() as world:
        done = pretrain(
            chosen,
            data,
            out,
            init=init,
            cache=cache,
            resume=resume,
            overwrite=overwrite,
            tensorboard=tensorboard,
            world=world,
            progress=talk,
        )
    if world.is_first:
        talk.say(
            f"{done.out} is a model directory, after {duration(done.seconds)}; try: bertwright fill {done.out} TEXT"
        )
