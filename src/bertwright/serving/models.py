"""The models that a server has: found by name, replaced while they answer, let go when they have answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from bertwright.errors import SettingsError
from bertwright.inference.asked import answered
from bertwright.inference.asking import Asking
from bertwright.inference.engines.engine import Streams
from bertwright.inference.opening import EngineName
from bertwright.inference.predictor import Predictor, load
from bertwright.inference.runners import Runner
from bertwright.parallel import processors
from bertwright.serving.queue import Queue, Read
from bertwright.serving.settings import ServeSettings
from bertwright.tokens.tokenizer import Tokenizer

# Cores that one batch is spread over, on machines with many.
_THREADS = 4


class Unfit(Exception):
    """No model of the server can do what is asked; the message says which could do what."""


class Served:
    """A model with its queue. asking is for the thread of the requests, aside for another one."""

    def __init__(
        self,
        name: str,
        predictor: Predictor,
        settings: ServeSettings,
        on_read: Callable[[str, Read], None],
    ) -> None:
        self.name, self.predictor = name, predictor
        self.asking = predictor.asking
        # Its caches are filled by one thread alone.
        self.aside = Asking(predictor.runner, _again(predictor.tokenizer))
        self.abilities = abilities(predictor.runner)
        streams = _streams(settings, spreads=predictor.runner.spreads)
        self.queue = Queue(
            streams=streams.count,
            threads=streams.threads,
            threads_alone=settings.threads or processors() if predictor.runner.spreads else None,
            token_budget=settings.batch_tokens or predictor.runner.batch_tokens,
            most_waiting=settings.max_waiting_tokens,
            # Who would be given up before the turn comes is told at once.
            most_seconds=0.9 * settings.timeout_seconds,
            gather_seconds=settings.gather_ms / 1000,
            on_read=lambda read: on_read(name, read),
        )


class Models:
    """Made of the directories to serve, each under its name."""

    def __init__(
        self,
        paths: Mapping[str, Path],
        settings: ServeSettings,
        *,
        engine: EngineName = "auto",
        say: Callable[[str], None],
        on_read: Callable[[str, Read], None] = lambda _name, _read: None,
    ) -> None:
        """Raises ModelError where one cannot be read."""
        self._paths, self._settings, self._say, self._on_read = dict(paths), settings, say, on_read
        self._engine = engine
        self._served = {name: self._open(name) for name in self._paths}

    def all(self) -> list[Served]:
        """Every model, in the order they were given in."""
        return [self._served[name] for name in self._paths]

    def find(self, name: str | None, ability: str) -> Served:
        """The model of a name, or the first that can do it, for vectors the first that was made for them.

        Raises Unfit, or KeyError for a name that is none.
        """
        if name is not None:
            served = self._served[name]
            if ability not in served.abilities:
                raise Unfit(f"the model {name!r} has no head for this; it can {_told(served)}")
            return served
        able = [served for served in self.all() if ability in served.abilities]
        if able:
            made = [served for served in able if ability == "embed" and served.asking.described.task == "embed"]
            return (made or able)[0]
        raise Unfit("; ".join(f"the model {served.name!r} can {_told(served)}" for served in self.all()))

    def reload(self, name: str) -> None:
        """Read a model from its directory again, and put it in the place of the one that answers.

        The old one finishes what it has taken. Raises ModelError, and then nothing has changed.
        """
        new = self._open(name)
        old, self._served[name] = self._served[name], new
        # It answers what it has taken, and is gone with the last reference.
        old.queue.close(wait=False)
        self._say(f"{name}: read again from {self._paths[name]}")

    def close(self) -> None:
        """Take no more, and return when all that was taken is answered."""
        for served in self.all():
            served.queue.close()

    def _open(self, name: str) -> Served:
        # For an engine that holds to what it began with; torch is told by the queue, batch by batch.
        streams = _streams(self._settings, spreads=False)
        predictor = load(self._paths[name], engine=self._engine, lasting=True, streams=streams, say=self._say)
        self._say(f"{name}: {predictor.runner.engine_told}")
        # The first batch of a shape takes longer; nobody should wait for it.
        answered(predictor.asking.embed(["a b c"])) if "embed" in abilities(predictor.runner) else None
        return Served(name, predictor, self._settings, self._on_read)


def abilities(runner: Runner) -> frozenset[str]:
    """What a model can do, by the names of the routes."""
    described = runner.described
    found = {"tokenize"}
    if runner.embeds:
        found |= {"embed", "similarity"}
    if runner.fills:
        found.add("fill")
    if runner.shows_attention:
        found.add("attention")
    columns = described.record.get("columns", {}).get("texts", [])
    pairs = len(columns) == 2 or described.task == "pair"
    # A foreign model does not say whether it reads one text or two.
    known = described.record.get("task") == described.task and described.task != ""
    if described.task in ("classify", "pair", "multilabel", "regress"):
        found.add("predict")
        if not known or not pairs:
            found.add("classify")
        if not known or pairs:
            found.add("pair")
            if described.task == "regress":
                found.add("rerank")
    if described.task in ("tag", "answer"):
        found.add(described.task)
    if described.task == "choice":
        found.add("choose")
    return frozenset(found)


def named_paths(given: list[str]) -> dict[str, Path]:
    """NAME=DIR or DIR each, a directory's own name where none is given. Raises SettingsError where two are alike."""
    found: dict[str, Path] = {}
    for each in given:
        name, separator, path = each.partition("=")
        # A directory's name may hold the sign too, as in runs/lr=3e-5.
        if not separator or Path(each).exists():
            # The name of a model on the hub has a slash, and no directory lies there.
            name, path = (Path(each).resolve().name if Path(each).exists() else each), each
        if not name or name in found:
            raise SettingsError(f"two models would be called {name!r}", where=each, cure="name one, as in other=DIR")
        found[name] = Path(path)
    return found


def _told(served: Served) -> str:
    return ", ".join(sorted(served.abilities))


def _again(tokenizer: Tokenizer) -> Tokenizer:
    return tokenizer.over(tokenizer.vocabulary)


def _streams(settings: ServeSettings, *, spreads: bool) -> Streams:
    """One, on machines with many cores one for every four: a text that is read by all of them is answered soonest.

    spreads: a batch alone is given all cores anyway, so that there is one for each: many are read soonest so.
    """
    cores = processors()
    if torch.cuda.is_available():
        count = 1
    elif cores > _THREADS:
        count = cores // _THREADS
    else:
        count = cores if spreads else 1
    count = settings.streams or count
    return Streams(count, settings.threads or max(1, cores // count))
