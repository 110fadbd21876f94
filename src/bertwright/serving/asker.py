"""From a request to a model's answer: made ready, put into the queue, waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request

from bertwright.errors import UserFault
from bertwright.inference.asked import Asked
from bertwright.inference.asking import Asking
from bertwright.serving.faults import Refused
from bertwright.serving.models import Models, Served, Unfit
from bertwright.serving.queue import Closed, Full, seconds_told
from bertwright.serving.settings import ServeSettings
from bertwright.tasks.task import Said

T = TypeVar("T")

# Characters of a request that are cut into tokens between two others, some milliseconds of work; longer ones are cut
# in another thread.
_AT_ONCE = 20_000
# Tokens of a request whose answer is made between two others.
_FINISHED_AT_ONCE = 2048
# Characters of a request for each token that it may have; texts that are read with several others count as often.
_CHARACTERS = 32


class Asker:
    """What the routes share. `ask` is for the thread of the event loop."""

    def __init__(self, models: Models, settings: ServeSettings) -> None:
        self.models, self.settings = models, settings
        self._aside = ThreadPoolExecutor(1, "bertwright-aside")
        # Characters that wait to be cut into tokens in that thread.
        self._characters = 0

    def close(self) -> None:
        """Finish what was taken."""
        self.models.close()
        self._aside.shutdown()

    def find(self, name: str | None, ability: str) -> Served:
        """The model for a request. Raises Refused."""
        try:
            return self.models.find(name, ability)
        except KeyError:
            known = ", ".join(served.name for served in self.models.all())
            raise Refused(404, f"no model is called {str(name)[:60]!r}; there are {known}") from None
        except Unfit as error:
            raise Refused(400, str(error)) from None

    async def ask(
        self,
        request: Request,
        name: str | None,
        ability: str,
        texts: Sequence[str],
        make: Callable[[Asking], Sequence[Asked[T]]],
        *,
        repeated: int = 0,
    ) -> tuple[Served, list[T]]:
        """The answers to what `make` makes of a request with these texts.

        repeated: characters of texts that are read more than once, such as a query beside each of several texts.
        Raises Refused where it is too large, too much waits, it takes too long or who asked has gone.
        """
        self.check(texts, repeated)
        until = self._until()
        # A model may be replaced between its finding and the asking: then the new one is asked.
        for _ in range(3):
            served = self.find(name, ability)
            asked = await self.work(request, served, texts, make, repeated, until)
            tokens = sum(each.tokens for each in asked)
            request.scope["state"]["about"].update(model=served.name, texts=len(texts), tokens=tokens)
            self.check_tokens(tokens)
            waiting: list[asyncio.Future[list[Said]]] = []
            try:
                for each in asked:
                    waiting.append(asyncio.wrap_future(served.queue.submit(each)))  # noqa: PERF401  # half of them count
            except (Full, Closed) as full:
                for taken in waiting:
                    taken.cancel()
                if isinstance(full, Closed):
                    continue
                raise _overloaded(seconds_told(full)) from None
            said = await self._waited(request, waiting, until)
            # Words may be many though tokens are few: of some a tokenizer makes nothing.
            if tokens <= _FINISHED_AT_ONCE and sum(map(len, texts)) <= _AT_ONCE:
                return served, _finished(asked, said)
            later = asyncio.get_running_loop().run_in_executor(self._aside, _finished, asked, said)
            (found,) = await self._waited(request, [later], until)
            return served, found
        raise Refused(503, "the server is being stopped")

    def check(self, texts: Sequence[str], repeated: int = 0) -> None:
        """Raise Refused where there are too many texts, or one that is none."""
        characters, most = sum(map(len, texts)) + repeated, _CHARACTERS * self.settings.max_tokens
        if characters > most:
            raise Refused(413, f"{characters:,} characters to be read in one request; {most:,} are taken")
        if len(texts) > self.settings.max_texts:
            raise Refused(413, f"{len(texts):,} texts in one request; {self.settings.max_texts:,} are taken")
        for number, text in enumerate(texts, start=1):
            try:
                text.encode()
            except UnicodeEncodeError as error:
                what = f"text {number} holds a lone surrogate (U+{ord(text[error.start]):04X} at {error.start})"
                raise Refused(422, what) from None

    async def vectors(
        self, request: Request, name: str | None, texts: Sequence[str], *, normalize: bool
    ) -> tuple[Served, NDArray[np.float32]]:
        """The vectors of texts, (texts, hidden). Raises Refused."""
        served, (found,) = await self.ask(
            request, name, "embed", texts, lambda asking: [asking.embed(texts, normalize=normalize)]
        )
        return served, found

    def check_tokens(self, tokens: int, what: str = "tokens") -> None:
        """Raise Refused where there are too many in one request, or of `what` else takes as long."""
        if tokens > self.settings.max_tokens:
            raise Refused(413, f"{tokens:,} {what} in one request; {self.settings.max_tokens:,} are taken")

    def _until(self) -> float:
        """When a request that comes now has been waited for long enough, by the loop's clock."""
        return asyncio.get_running_loop().time() + self.settings.timeout_seconds

    async def work(
        self,
        request: Request,
        served: Served,
        texts: Sequence[str],
        work: Callable[[Asking], T],
        repeated: int = 0,
        until: float | None = None,
    ) -> T:
        """What `work` makes of texts: at once where they are short, else in a thread of its own. Raises Refused."""
        characters = sum(map(len, texts)) + repeated
        try:
            if characters <= _AT_ONCE:
                return work(served.asking)
            if self._characters and self._characters + characters > _CHARACTERS * self.settings.max_waiting_tokens:
                raise _overloaded(1)
            self._characters += characters
            try:
                later = asyncio.get_running_loop().run_in_executor(self._aside, work, served.aside)
                (made,) = await self._waited(request, [later], until or self._until())
                return made
            finally:
                self._characters -= characters
        except UserFault as fault:
            # Without its place, which may be a path.
            raise Refused(422, fault.what if fault.cure is None else f"{fault.what}; {fault.cure}") from None

    async def _waited(self, request: Request, waiting: Sequence[asyncio.Future[T]], until: float) -> list[T]:
        gone: asyncio.Future[Any] = asyncio.ensure_future(_gone(request))
        left: set[asyncio.Future[Any]] = set(waiting)
        try:
            async with asyncio.timeout_at(until):
                while left:
                    done, _ = await asyncio.wait({*left, gone}, return_when="FIRST_COMPLETED")
                    left -= done
                    if gone in done and left:
                        raise Refused(499, "the client has gone")
            return [each.result() for each in waiting]
        except TimeoutError:
            raise Refused(504, f"no answer in {self.settings.timeout_seconds:g} seconds") from None
        finally:
            # What is left of them gives up its place.
            for each in (gone, *waiting):
                each.cancel()


def _overloaded(seconds: int) -> Refused:
    return Refused(429, "too much is asked at the moment", {"Retry-After": str(seconds)})


def _finished(asked: Sequence[Asked[T]], said: Sequence[list[Said]]) -> list[T]:
    return [each.finish(found) for each, found in zip(asked, said, strict=True)]


async def _gone(request: Request) -> None:
    """Return when who asked has gone; the body is read already."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
