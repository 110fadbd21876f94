"""A corpus on its way into shards: what is written, what waits to be, and the checkpoint that both are found by again.

While it is under way, the directory also holds

    progress.json      how many documents were read, a chain of their digests, what was counted, the shards so far
    pending-N.npz      documents that are in no shard yet

progress.json is replaced whole after the files that it names are on the disk, so it is always true. Both are removed
when all is done and the directory has its name.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.errors import CorpusError, SettingsError, ShardError
from bertwright.files import sha256, sync_file, to_json, write_atomic
from bertwright.shards.encode import COUNTED, DocumentEncoder, EncodedDocument, Paragraphs
from bertwright.shards.format import ARRAYS, FORMAT, Manifest, ShardEntry, array_path
from bertwright.shards.write import ShardWriter, belongs_to_held_out
from bertwright.text.documents import Document
from bertwright.text.duplicates import Dedupe, NearDuplicates, text_digest

_PROGRESS = "progress.json"
_PENDING = "pending-{}.npz"
# What is there only to go on with.
UNFINISHED = (_PROGRESS, _PENDING.format("*"))
_DROPPED = ("documents_without_tokens", "exact_duplicates", "near_duplicates", "duplicate_tokens")
_SIGNED_AT_ONCE = 256
# What may differ from one start to the next: what is done with bad lines shows in the documents that were read, and
# these are compared.
_FREE = ("settings", "on_error")


class AnotherCorpus(CorpusError):
    """What was prepared already is not how the corpus begins."""


class Preparation:
    """The state of one preparation in `directory`."""

    def __init__(
        self, directory: Path, identity: dict[str, Any], vocabulary_size: int, held_out: float, tokens_per_shard: int
    ) -> None:
        self.directory = directory
        self.identity = {"format": FORMAT, **identity}
        self.vocabulary_size = vocabulary_size
        self.held_out = held_out
        self._tokens_per_shard = tokens_per_shard
        self._forget()

    def _forget(self) -> None:
        self.train = ShardWriter(self.directory, "train", self.vocabulary_size, self._tokens_per_shard)
        self.aside = ShardWriter(self.directory, "held_out", self.vocabulary_size, self._tokens_per_shard)
        self.counts: Counter[str] = Counter()
        self.documents = 0
        self._chain = ""
        self._saves = 0
        self._seen: set[int] | None = None
        self._alike: NearDuplicates | None = None
        self._earlier = 0
        self._earlier_chain = ""

    def begin(self, *, resume: bool, anew: bool, dedupe: Dedupe, say: Callable[[str], None]) -> None:
        """Go on from the checkpoint in the directory, if there is one that can be gone on with, else from nothing.

        anew: one of other work may be lost; without it that raises SettingsError.
        """
        state = self._checkpoint()
        if state is not None and (other := self._otherwise(state)):
            if not anew:
                what = f"holds {state['documents']:,} documents that an earlier run prepared otherwise ({other})"
                cure = "give what that was given, to go on, or --overwrite to lose them and begin anew"
                raise SettingsError(what, where=self.directory, cure=cure)
            state = None
        went_on = state is not None and resume and self._went_on(state)
        if went_on:
            say(f"going on after the {self._earlier:,} documents that an earlier run prepared; reading past them")
        else:
            self._forget()
            if any(self.directory.iterdir()):
                say(f"{self.directory}: left by an earlier run that this one cannot go on with; begun anew")
        self._clear(keep=state if went_on else None)
        self._seen = None if dedupe == "none" else set()
        self._alike = NearDuplicates() if dedupe == "near" else None

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
                if self._alike is not None:
                    signed.append(document.paragraphs)
            if number == self._earlier and chain != self._earlier_chain:
                break
            if self._alike is not None and (len(signed) >= _SIGNED_AT_ONCE or number == self._earlier):
                # Signatures are not saved: made again, they are a small part of what making the ids would take.
                for encoded in encoder(signed):
                    assert encoded.signature is not None
                    if len(encoded.sentences):
                        self._alike.alike(encoded.signature)
                signed = []
        if number < self._earlier or chain != self._earlier_chain:
            what = f"the corpus does not begin with the {self._earlier:,} documents that an earlier run prepared"
            cure = "give it as it was, or --overwrite to lose them and begin anew"
            raise AnotherCorpus(what, where=self.directory, cure=cure)

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
        pending = _PENDING.format(self._saves)
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
        for old in self.directory.glob(UNFINISHED[1]):
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

    def _drop(self, document: EncodedDocument, why: str) -> bool:
        self.counts[why] += 1
        self.counts["duplicate_tokens"] += len(document.tokens)
        return False

    def _checkpoint(self) -> dict[str, Any] | None:
        """What an earlier run of this version saved last, if there is such a one."""
        # A disk that fails for a moment is no reason to begin anew: its OSErrors end the run, and all is kept.
        try:
            state = json.loads((self.directory / _PROGRESS).read_bytes())
            return state if state["identity"]["format"] == FORMAT and state["documents"] + 0 else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _otherwise(self, state: dict[str, Any]) -> str:
        """What differs between what that run was given and what this one is; empty where nothing does."""
        theirs, mine = ({**each, **each.get("settings", {})} for each in (state["identity"], self.identity))
        names = [name for name in dict.fromkeys([*mine, *theirs]) if name not in _FREE]
        return ", ".join(name for name in names if mine.get(name) != theirs.get(name))

    def _went_on(self, state: dict[str, Any]) -> bool:
        """Restore a checkpoint, if all is there that it names."""
        try:
            return self._restore(state)
        except (
            ShardError,
            SettingsError,
            FileNotFoundError,
            EOFError,
            KeyError,
            TypeError,
            ValueError,
            zipfile.BadZipFile,
        ):
            return False

    def _clear(self, keep: dict[str, Any] | None) -> None:
        """Remove all that a checkpoint does not name: it was written after it, or before a run that begins anew."""
        named = set()
        if keep is not None:
            entries = [*self.train.entries, *self.aside.entries]
            named = {array_path(self.directory, entry.name, array) for entry in entries for array in ARRAYS}
            named |= {self.directory / _PROGRESS, self.directory / keep["pending"]}
        for item in self.directory.iterdir():
            if item not in named:
                shutil.rmtree(item) if item.is_dir() else item.unlink()

    def _restore(self, state: dict[str, Any]) -> bool:
        entries = {
            split: [ShardEntry.from_values(values) for values in state[split]] for split in ("train", "held_out")
        }
        for entry in (*entries["train"], *entries["held_out"]):
            for array in ARRAYS:
                path = array_path(self.directory, entry.name, array)
                if not path.exists() or sha256(path) != entry.sha256[array]:
                    return False
        # Opened here: numpy leaves a file open that is no archive.
        with (
            (self.directory / state["pending"]).open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
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
