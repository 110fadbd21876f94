"""Reading shards: mapped into memory, checked against their checksums.

Those of a local directory are mapped where they lie. Those at an address come through a cache (shards/cache.py), each
array when it is first asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from bertwright.errors import BertwrightError, SettingsError, ShardError, UserFault
from bertwright.files import sha256
from bertwright.lines import is_remote
from bertwright.parallel import processors
from bertwright.shards.cache import ShardCache, Wanted, told_size
from bertwright.shards.format import (
    ARRAYS,
    UNIGRAMS,
    Manifest,
    ShardEntry,
    Split,
    array_bytes,
    array_name,
    array_path,
    npy_bytes,
    read_manifest,
)
from bertwright.shards.store import Store, missing
from bertwright.tokens.layout import TOKENIZER_FILES, read_tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bertwright.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard: ids of all documents and where sentences and documents start; `arrays` are those of ARRAYS."""

    name: str
    arrays: Mapping[str, NDArray[Any]]

    @property
    def tokens(self) -> NDArray[np.unsignedinteger]:
        """(tokens,) ids."""
        return self.arrays["tokens"]

    @property
    def words(self) -> NDArray[np.uint8]:
        """(tokens / 8,) a bit for each token: whether a true word begins there."""
        return self.arrays["words"]

    @property
    def sentences(self) -> NDArray[np.int64]:
        """(sentences + 1,) token offsets."""
        return self.arrays["sentences"]

    @property
    def documents(self) -> NDArray[np.int64]:
        """(documents + 1,) sentence offsets."""
        return self.arrays["documents"]

    def word_starts(self, first: int, count: int) -> NDArray[np.bool_]:
        """Whether a true word begins with each of `count` tokens from `first` on."""
        begin = first // 8
        bits = np.unpackbits(self.words[begin : (first + count + 7) // 8], bitorder="little")
        return bits[first - 8 * begin :][:count].astype(np.bool_)


class ShardDirectory:
    """An opened shard directory; `path` is where it lies."""

    def __init__(self, path: Path, manifest: Manifest, tokenizer: Tokenizer) -> None:
        self.path: Path | str = path
        self.manifest = manifest
        self.tokenizer = tokenizer
        self._folder = path

    def shards(self, split: Split, on_progress: Callable[[int], None] | None = None) -> Sequence[Shard]:
        """The shards of one split, memory-mapped. Raises ShardError where one is missing or damaged.

        `on_progress` is told the number of shards that were checked.
        """
        opened: list[Shard] = []
        # Checksums let go of the interpreter.
        with ThreadPoolExecutor(processors()) as pool:
            for shard in pool.map(lambda entry: _open_shard(self._folder, entry), self.manifest.of(split)):
                opened.append(shard)
                if on_progress is not None:
                    on_progress(len(opened))
        return opened

    def unigrams(self, train: Sequence[Shard]) -> NDArray[np.int64]:
        """(vocabulary,) how often each piece stands in `train`, the train shards of this directory."""
        if self.manifest.unigrams_sha256 is not None:
            return self._counted(self.manifest.unigrams_sha256)
        # Directories made before these counts were stored: every token is read once.
        counts = np.zeros(self.manifest.vocabulary_size, dtype=np.int64)
        for shard in train:
            counts += np.bincount(shard.tokens, minlength=len(counts))
        return counts

    def fetch_ahead(self, split: Split, numbers: Sequence[int], arrays: Sequence[str]) -> None:
        """Be told which arrays of which shards come next; what lies here needs nothing."""

    def refuse_small_cache(self, together: int) -> None:
        """Raise SettingsError if `together` shards cannot be at hand at the same time; here they all are."""

    def _counted(self, checksum: str) -> NDArray[np.int64]:
        return _checked(self._folder / UNIGRAMS, checksum)


class RemoteShardDirectory(ShardDirectory):
    """An opened shard directory in an object store."""

    def __init__(self, store: Store, cache: ShardCache, manifest: Manifest, tokenizer: Tokenizer) -> None:
        super().__init__(Path(), manifest, tokenizer)
        self.path = store.address
        self._store, self._cache = store, cache

    def shards(self, split: Split, on_progress: Callable[[int], None] | None = None) -> Sequence[Shard]:
        """The shards of one split, whose arrays are fetched when they are asked for.

        Each time that a shard is taken out of the sequence it is another object, and its arrays stay mapped, and in the
        cache, as long as that lives. Raises ShardError where one is missing or has another length, as far as the store
        tells; checksums are computed when arrays are fetched.
        """
        entries = self.manifest.of(split)
        sizes = self._store.sizes()
        for number, entry in enumerate(entries, start=1):
            if sizes is not None:
                self._check_lengths(entry, sizes)
            if on_progress is not None:
                on_progress(number)
        return _FetchedShards([entry.name for entry in entries], lambda number: self._arrays_of(entries[number]))

    def fetch_ahead(self, split: Split, numbers: Sequence[int], arrays: Sequence[str]) -> None:
        """Fetch arrays of shards in the background, as far as there is room in the cache."""
        entries = self.manifest.of(split)
        wanted = [self._wanted(entries[number], array) for number in numbers for array in arrays]

        def work() -> None:
            # What fails here is met again, with patience, by whoever needs the array.
            try:
                all(map(self._cache.fetch_ahead, wanted))
            except BertwrightError:
                return

        threading.Thread(target=work, name="bertwright-shards", daemon=True).start()

    def refuse_small_cache(self, together: int) -> None:
        """Raise SettingsError if the cache cannot hold the `together` largest shards of a split at the same time."""
        needed = 0
        for split in ("train", "held_out"):
            sizes = [
                sum(array_bytes(entry, array, self.manifest.vocabulary_size) for array in ARRAYS)
                for entry in self.manifest.of(split)
            ]
            needed = max(needed, sum(sorted(sizes)[-together:]))
        if self._cache.limit < needed:
            what = f"{told_size(self._cache.limit)} do not hold the {together} shards that may be in use at a time"
            raise SettingsError(what, where="--cache-size", cure=f"give {told_size(needed).replace(' ', '')} or more")

    def _counted(self, checksum: str) -> NDArray[np.int64]:
        size = npy_bytes(self.manifest.vocabulary_size, np.int64)
        return self._cache.open(self._from_store(UNIGRAMS, checksum, size))

    def _check_lengths(self, entry: ShardEntry, sizes: Mapping[str, int]) -> None:
        for array in ARRAYS:
            name = array_name(entry.name, array)
            if name not in sizes:
                raise missing(self._store.place(name))
            length = array_bytes(entry, array, self.manifest.vocabulary_size)
            if sizes[name] != length:
                what = f"is {sizes[name]:,} bytes long, and by the manifest {length:,}"
                raise ShardError(what, where=self._store.place(name), cure="upload the shards again")

    def _arrays_of(self, entry: ShardEntry) -> Mapping[str, NDArray[Any]]:
        return _Fetched(lambda array: self._cache.open(self._wanted(entry, array)))

    def _wanted(self, entry: ShardEntry, array: str) -> Wanted:
        size = array_bytes(entry, array, self.manifest.vocabulary_size)
        return self._from_store(array_name(entry.name, array), entry.sha256[array], size)

    def _from_store(self, name: str, checksum: str, size: int) -> Wanted:
        def blocks(patient: bool) -> Iterator[bytes]:  # noqa: FBT001  # what Wanted calls
            return self._store.blocks(name, size, patient=patient)

        return Wanted(checksum, size, self._store.place(name), blocks)


class _Fetched(dict[str, "NDArray[Any]"]):
    """Arrays by name, opened when they are first asked for."""

    def __init__(self, opened: Callable[[str], NDArray[Any]]) -> None:
        super().__init__()
        self._opened = opened

    def __missing__(self, array: str) -> NDArray[Any]:
        self[array] = self._opened(array)
        return self[array]


class _FetchedShards(Sequence[Shard]):
    """Shards that keep nothing open but while somebody holds them."""

    def __init__(self, names: Sequence[str], arrays: Callable[[int], Mapping[str, NDArray[Any]]]) -> None:
        self._names, self._arrays = names, arrays

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, number: int) -> Shard: ...
    @overload
    def __getitem__(self, number: slice) -> list[Shard]: ...
    def __getitem__(self, number: int | slice) -> Shard | list[Shard]:
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        return Shard(self._names[number], self._arrays(number))


def open_shards(
    directory: Path | str, cache: ShardCache | None = None, say: Callable[[str], None] | None = None
) -> ShardDirectory:
    """Open a shard directory and check that the vocabulary beside the shards is the one that made them.

    One at an address goes through `cache`; `say` is told where a store has to be asked again. Raises ShardError.
    """
    if is_remote(str(directory)):
        store = Store(str(directory), say)
        with _copied(store) as folder:
            found = _open_local(folder)
        return RemoteShardDirectory(store, cache or ShardCache(say=say), found.manifest, found.tokenizer)
    return _open_local(Path(directory))


def _open_local(directory: Path) -> ShardDirectory:
    manifest = read_manifest(directory)
    tokenizer = read_tokenizer(directory / "tokenizer")
    if tokenizer.vocabulary.sha256 != manifest.vocabulary_sha256:
        raise ShardError(
            "the vocabulary does not match the shards: it changed after they were made",
            where=directory / "tokenizer" / "vocab.txt",
            cure="prepare the corpus again with this vocabulary",
        )
    return ShardDirectory(directory, manifest, tokenizer)


@contextmanager
def _copied(store: Store) -> Iterator[Path]:
    """A folder with the manifest and the tokenizer of a store; faults found in it name the store."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "tokenizer").mkdir()
        for name in ("manifest.json", *(f"tokenizer/{file}" for file in TOKENIZER_FILES)):
            try:
                content = store.read(name)
            except FileNotFoundError:
                if name == "manifest.json":
                    break
                continue
            (Path(folder) / name).write_bytes(content)
        try:
            yield Path(folder)
        except UserFault as fault:
            where = (fault.where or "").replace(folder, store.address)
            raise type(fault)(fault.what, where=where, cure=fault.cure) from None


def _open_shard(directory: Path, entry: ShardEntry) -> Shard:
    return Shard(
        entry.name,
        {array: _checked(array_path(directory, entry.name, array), entry.sha256.get(array)) for array in ARRAYS},
    )


def _checked(path: Path, checksum: str | None) -> NDArray[Any]:
    """The array in a file, mapped, once its checksum is found to be the manifest's."""
    if not path.exists():
        raise ShardError("this file of the shard is missing", where=path, cure="prepare the corpus again")
    if sha256(path) != checksum:
        cure = "it was changed or damaged; prepare the corpus again"
        raise ShardError("the checksum differs from the manifest's", where=path, cure=cure)
    # Mapped, and then plain arrays: what numpy makes of a mapping is slow to index.
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
