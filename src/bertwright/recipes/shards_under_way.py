"""A corpus on its way into shards: what is written, what waits to be, and the checkpoint that both are found by again.

While it is under way, the directory also holds

    progress.json      how many documents were read, a chain of their digests, what was counted, the shards so far
    pending-N.npz      documents that are in no shard yet

progress.json is replaced whole after the files that it names are on the disk, so it is always true.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.errors import CorpusError, SettingsError, ShardError
from bertwright.files import read_json, sha256, sync_file, to_json, write_atomic
from bertwright.shards.encode import COUNTED, DocumentEncoder, EncodedDocument, Paragraphs
from bertwright.shards.format import ARRAYS, FORMAT, Manifest, ShardEntry, array_path
from bertwright.shards.write import ShardWriter, belongs_to_held_out
from bertwright.text.documents import Document
from bertwright.text.duplicates import Dedupe, NearDuplicates, text_digest

_PROGRESS = "progress.json"
_DROPPED = ("documents_without_tokens", "exact_duplicates", "near_duplicates", "duplicate_tokens")
_SIGNED_AT_ONCE = 256


class Preparation:
    """The state of one preparation in `directory`."""

    def __init__(
        self, directory: Path, identity: dict[str, Any], vocabulary_size: int, held_out: float, tokens_per_shard: int
    ) -> None:
        self.directory = directory
        self.identity = {"format": FORMAT, **identity}
        self.vocabulary_size = vocabulary_size
        self.held_out = held_out
        self.train = ShardWriter(directory, "train", vocabulary_size, tokens_per_shard)
        self.aside = ShardWriter(directory, "held_out", vocabulary_size, tokens_per_shard)
        self.counts: Counter[str] = Counter()
        self.documents = 0
        self._chain = ""
        self._saves = 0
        self._seen: set[int] | None = None
        self._alike: NearDuplicates | None = None
        self._earlier = 0
        self._earlier_chain = ""

    def begin(self, *, resume: bool, dedupe: Dedupe, say: Callable[[str], None]) -> None:
        """Go on from the checkpoint in the directory, if there is one that fits, else from nothing."""
        self._seen = None if dedupe == "none" else set()
        self._alike = NearDuplicates() if dedupe == "near" else None
        path = self.directory / _PROGRESS
        if path.exists() and resume and self._may_go_on(path):
            say(f"going on after the {self._earlier:,} documents that an earlier run prepared; reading past them")
            return
        if any(self.directory.iterdir()):
            say(f"{self.directory}: left by an earlier run that this one cannot go on with; begun anew")
            for item in self.directory.iterdir():
                shutil.rmtree(item) if item.is_dir() else item.unlink()

    def skip(self, documents: Iterable[Document], encoder: DocumentEncoder) -> Iterator[Document]:
        """The documents after those that are done already. Raises CorpusError where those are not what they were."""
        chain, number = "", 0
        signed: list[Paragraphs] = []
        for number, document in enumerate(documents, start=1):
            if number > self._earlier:
                yield document
                continue
            digest = text_digest(document.paragraphs)
            chain = _chained(chain, digest)
            if self._seen is not None and digest not in self._seen:
                self._seen.add(digest)
                signed.append(document.paragraphs)
            if number == self._earlier and chain != self._earlier_chain:
                break
            if self._alike is not None and (len(signed) == _SIGNED_AT_ONCE or number == self._earlier):
                # Signatures are not saved: made again, they are a small part of what making the ids would take.
                for encoded in encoder(signed):
                    assert encoded.signature is not None
                    if len(encoded.sentences):
                        self._alike.alike(encoded.signature)
                signed = []
        if number < self._earlier or chain != self._earlier_chain:
            what = "the corpus is not the one that the earlier run began with"
            raise CorpusError(what, where=self.directory, cure="start again: what it left is removed")

    def add(self, document: EncodedDocument) -> bool:
        """Take in the next document; returns whether a shard was written."""
        self.documents += 1
        self._chain = _chained(self._chain, document.digest)
        if self._seen is not None:
            if document.digest in self._seen:
                return self._drop(document, "exact_duplicates")
            self._seen.add(document.digest)
        if not len(document.sentences):
            self.counts["documents_without_tokens"] += 1
            return False
        if self._alike is not None:
            assert document.signature is not None
            if self._alike.alike(document.signature):
                return self._drop(document, "near_duplicates")
        self.counts.update(dict(zip(COUNTED, document.counts.tolist(), strict=True)))
        writer = self.aside if belongs_to_held_out(document.digest, self.held_out) else self.train
        return writer.add(document.tokens, document.word_starts, document.sentences)

    def save(self) -> None:
        """Write the checkpoint, so that a later run goes on here."""
        self._saves += 1
        pending = f"pending-{self._saves}.npz"
        with (self.directory / pending).open("wb") as file:
            arrays = {
                f"{split}.{name}": values
                for split, writer in (("train", self.train), ("held_out", self.aside))
                for name, values in writer.pending().items()
            }
            np.savez(file, allow_pickle=False, **arrays)
        sync_file(self.directory / pending)
        state = {
            "identity": self.identity,
            "documents": self.documents,
            "chain": self._chain,
            "counts": dict(self.counts),
            "pending": pending,
            "saves": self._saves,
            "train": [entry.model_dump() for entry in self.train.entries],
            "held_out": [entry.model_dump() for entry in self.aside.entries],
        }
        write_atomic(self.directory / _PROGRESS, to_json(state))
        for old in self.directory.glob("pending-*.npz"):
            if old.name != pending:
                old.unlink()

    def finish(self) -> None:
        """Write what is left into shards."""
        if self.aside.documents == 1:
            # One document alone cannot be measured on, having no negatives.
            self.train.take_in(self.aside)
            self.aside = ShardWriter(self.directory, "held_out", self.vocabulary_size)
        self.train.close()
        self.aside.close()

    def manifest(self, vocabulary_sha256: str, language: str, segmenter: str) -> Manifest:
        """What the finished directory says of itself; writes how often each piece stands in it."""
        names = (*COUNTED, *_DROPPED, "empty_documents", "skipped")
        return Manifest(
            vocabulary_sha256=vocabulary_sha256,
            vocabulary_size=self.vocabulary_size,
            corpus_sha256=self._chain,
            language=language,
            segmenter=segmenter,
            held_out_fraction=self.held_out,
            counts={
                "documents": self.documents,
                **{name: self.counts[name] for name in names},
                "train_documents": self.train.documents,
                "held_out_documents": self.aside.documents,
            },
            unigrams_sha256=self.train.write_unigrams(),
            shards=self.train.entries + self.aside.entries,
        )

    def clear(self) -> None:
        """Remove the checkpoint, once the manifest stands for it."""
        for path in (self.directory / _PROGRESS, *self.directory.glob("pending-*.npz")):
            path.unlink(missing_ok=True)

    def _drop(self, document: EncodedDocument, why: str) -> bool:
        self.counts[why] += 1
        self.counts["duplicate_tokens"] += len(document.tokens)
        return False

    def _may_go_on(self, path: Path) -> bool:
        """Restore the checkpoint, if it is whole, of this version and of the same work."""
        try:
            return self._restore(read_json(path, ShardError))
        except (ShardError, SettingsError, OSError, KeyError, TypeError, ValueError):
            return False

    def _restore(self, state: dict[str, Any]) -> bool:
        if state.get("identity") != self.identity:
            return False
        entries = {
            split: [ShardEntry.from_values(values) for values in state[split]] for split in ("train", "held_out")
        }
        for entry in (*entries["train"], *entries["held_out"]):
            for array in ARRAYS:
                path = array_path(self.directory, entry.name, array)
                if not path.exists() or sha256(path) != entry.sha256[array]:
                    return False
        with np.load(self.directory / state["pending"], allow_pickle=False) as arrays:
            pending = {name: arrays[name] for name in arrays.files}
        for split, writer in (("train", self.train), ("held_out", self.aside)):
            mine = {
                name.removeprefix(f"{split}."): values for name, values in pending.items() if name.startswith(split)
            }
            writer.restore(entries[split], mine)
        self.documents = self._earlier = int(state["documents"])
        self._chain = self._earlier_chain = state["chain"]
        self.counts = Counter(state["counts"])
        self._saves = int(state["saves"])
        return True


def _chained(chain: str, digest: int) -> str:
    """The digest of a document after those before it: names a corpus, and can be gone on with."""
    return hashlib.sha256(bytes.fromhex(chain) + digest.to_bytes(8, "little")).hexdigest()
