"""What a server may be told."""

from __future__ import annotations

from pydantic import Field

from bertwright.settings import Settings


class ServeSettings(Settings):
    """Limits of requests and of what waits, and how batches are read."""

    # Bytes of the body of a request.
    max_body_bytes: int = Field(default=4 << 20, ge=1024)
    # Connections at a time, and requests under way; one more is answered 503.
    max_connections: int = Field(default=1024, ge=1)
    # Texts in a request.
    max_texts: int = Field(default=256, ge=1)
    # Tokens in a request, those of all windows of its texts.
    max_tokens: int = Field(default=1 << 16, ge=512)
    # Seconds after which a request that waits is given up.
    timeout_seconds: float = Field(default=60.0, gt=0)

    # Tokens that may wait for a model; a request past them is answered 429.
    max_waiting_tokens: int = Field(default=1 << 18, ge=512)
    # Tokens that are read together, with their padding; None: as the engine is fastest.
    batch_tokens: int | None = Field(default=None, ge=512)
    # How long a batch that is not full waits for more: 0 pays off where a batch costs what its tokens do, as on a CPU.
    gather_ms: float = Field(default=0.0, ge=0, le=1000)
    # Batches that are read at a time; None: of more than four cores one for every four, else one, for torch on a CPU
    # one for each core.
    streams: int | None = Field(default=None, ge=1)
    # Threads for each of these; None: all cores shared out, and for torch all of them where nothing else is asked.
    threads: int | None = Field(default=None, ge=1)

    # Sites whose pages may ask, as in https://example.org; "*" for all.
    cors_origins: tuple[str, ...] = ()
