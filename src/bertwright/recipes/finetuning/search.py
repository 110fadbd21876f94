"""Which settings suit a task best: the paper's grid, one's own, or ranges that Optuna samples from."""

from __future__ import annotations

import difflib
import importlib.util
import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bertwright.encoder.config import EncoderConfig
from bertwright.errors import SettingsError
from bertwright.progress import Progress
from bertwright.recipes.finetuning.checks import check_settings
from bertwright.recipes.finetuning.series import Result, Series
from bertwright.recipes.finetuning.settings import FinetuneSettings

# Appendix A.3 of the paper: "the following range of possible values to work well across all tasks".
PAPER: dict[str, list[Any]] = {"batch_size": [16, 32], "learning_rate": [5e-5, 3e-5, 2e-5], "epochs": [2, 3, 4]}
_WHOLE = "paper"
# The score by which trials are compared must be the same in all; the best of several seeds is luck.
_NO_AXES = {"keep_best_by", "seed"}


def grid_of(wishes: Sequence[str]) -> dict[str, list[Any]]:
    """`paper`, or settings with their values as `learning_rate=[2e-5, 5e-5]`. Raises SettingsError."""
    if list(wishes) == [_WHOLE]:
        return PAPER
    grid: dict[str, list[Any]] = {}
    for wish in wishes:
        name, values = _axis(wish)
        if name in grid:
            raise SettingsError(f"`--search {name}=...` stands twice", cure="give all its values in one list")
        grid[name] = values
    return grid


def _axis(wish: str) -> tuple[str, list[Any]]:
    name, equals, _ = (part.strip() for part in wish.partition("="))
    if name == _WHOLE and not equals:
        cure = "give it alone, or the lists of your own"
        raise SettingsError("`--search paper` is a whole grid, and stands beside another", cure=cure)
    if name not in FinetuneSettings.model_fields:
        near = difflib.get_close_matches(name, [_WHOLE, *FinetuneSettings.model_fields], n=1)
        cure = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(FinetuneSettings.model_fields)}"
        raise SettingsError(f"--search: `{name}` is no setting", cure=cure)
    values = _parsed(wish) if equals else None
    if not isinstance(values, list) or not values:
        cure = f'as in --search "{name}=[...]" with its values, texts in quotes'
        raise SettingsError(f"`--search {wish}` is no list of values", cure=cure)
    return name, values


def search(
    series: Series,
    settings: FinetuneSettings,
    grid: Mapping[str, Sequence[Any]],
    progress: Progress,
    *,
    trials: int | None = None,
) -> Result:
    """Fine-tune with every combination of the grid, or with `trials` of them that Optuna chooses; returns the best.

    Only the weights of the best so far are kept. The best of many on the same dev rows looks better than it is: score
    it on rows that took no part. Raises SettingsError before the first run where a combination is none.
    """
    tried: list[Result] = []
    for number, total, differing in _sampled(grid, trials, settings.seed, tried) if trials else _all(grid):
        chosen = settings.from_values(settings.model_dump() | differing)
        shown = ", ".join(f"{name} {_short(value)}" for name, value in differing.items())
        progress.say(f"trial {number} of {total}: {shown}")
        before = max(tried, key=_rank, default=None)
        tried.append(series.run(f"trial-{number:03}", chosen, differing))
        best = max(tried, key=_rank)
        for loser in {each.name for each in (before, tried[-1]) if each is not None} - {best.name}:
            series.drop(loser)
    return max(tried, key=_rank)


def check_grid(
    settings: FinetuneSettings,
    grid: Mapping[str, Sequence[Any]],
    task: str,
    config: EncoderConfig,
    trained: int = 512,
) -> None:
    """Raise SettingsError where some combination of the grid is none that the model can be trained with."""
    for name in _NO_AXES & grid.keys():
        cure = "set it with --set" if name == "keep_best_by" else "try seeds with --seeds"
        raise SettingsError(f"`--search {name}=...` would compare what cannot be compared", cure=cure)
    for _, _, differing in _all(grid):
        origin = {name: f"--search {name}" for name in differing}
        check_settings(settings.from_values(settings.model_dump() | differing, origin=origin), task, config, trained)


def refuse_without_optuna() -> None:
    """Raise SettingsError where Optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise SettingsError("`--trials` needs the extra `search`", cure="pip install 'bertwright[search]'")


def _rank(result: Result) -> float:
    return result.score


def _all(grid: Mapping[str, Sequence[Any]]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    combinations = list(itertools.product(*grid.values()))
    for number, values in enumerate(combinations, start=1):
        yield number, len(combinations), dict(zip(grid, values, strict=True))


def _sampled(
    grid: Mapping[str, Sequence[Any]], trials: int, seed: int, tried: Sequence[Result]
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """As Optuna's TPE suggests, seeded, so that a search that goes on suggests the same once more.

    Two fractions stand for the range between them, learning rates on a logarithmic scale. Anything else is a choice,
    whole numbers too: nobody who writes batch_size=[16, 32] means 23.
    """
    import optuna  # noqa: PLC0415  # an extra

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed % 2**32))
    for number in range(1, trials + 1):
        trial = study.ask()
        differing = {name: _suggested(trial, name, values) for name, values in grid.items()}
        yield number, trials, differing
        study.tell(trial, tried[-1].score)


def _suggested(trial: Any, name: str, values: Sequence[Any]) -> Any:
    if len(values) == 2 and all(isinstance(value, float) for value in values):
        low, high = sorted(values)
        return trial.suggest_float(name, low, high, log=name.endswith("learning_rate"))
    return trial.suggest_categorical(name, list(values))


def _parsed(wish: str) -> Any:
    try:
        return next(iter(tomllib.loads(wish).values()))
    except tomllib.TOMLDecodeError:
        return None


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
