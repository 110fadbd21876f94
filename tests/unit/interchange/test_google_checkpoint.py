"""The original code's checkpoints: written and read back, in folders and in a .zip, whole and damaged.

(One long file: what is damaged is what the first half writes. The index by itself is in test_google_index.py.)
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.errors import ModelError, UserFault
from bertwright.heads.model import PRETRAINING, Parts
from bertwright.interchange.google.bundle import Bundle, shard_name, slice_key, write_bundle
from bertwright.interchange.google.checkpoint import read_checkpoint, write_checkpoint
from bertwright.interchange.google.files import Folder, is_checkpoint
from bertwright.interchange.google.messages import Entry, Extent, Header, write_entry, write_header
from bertwright.interchange.google.names import is_of_training, to_google, to_transformers
from bertwright.interchange.google.table import Checksum, read_table, write_table
from bertwright.progress import Silent
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary
from tests.unit.checkpoints.small import TOKENIZER, small_model

PREFIX = "bert_model.ckpt"


class Heard(Silent):
    """What was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def loaded(parts: Parts = PRETRAINING, **more: Any) -> LoadedModel:
    return LoadedModel(Path("ours"), small_model(parts), TOKENIZER, **more)


def written(path: Path, model: LoadedModel | None = None) -> Path:
    path.mkdir(parents=True)
    write_checkpoint(path, model or loaded(), say=Heard().say)
    return path


def read(path: Path) -> LoadedModel:
    return read_checkpoint(path, progress=Silent())


def fault(path: Path) -> str:
    with pytest.raises(UserFault) as caught:
        read(path)
    assert isinstance(caught.value, ModelError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_same(one: LoadedModel, other: LoadedModel) -> None:
    ours, theirs = dict(one.model.named_parameters()), dict(other.model.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert one.model.config == other.model.config
    assert one.tokenizer.vocabulary.pieces == other.tokenizer.vocabulary.pieces


@pytest.mark.parametrize(
    ("parts", "task", "labels"),
    [
        (PRETRAINING, "", ()),
        (Parts(), "", ()),
        (Parts(labels=3), "classify", ("bad", "good", "so-so")),
        (Parts(labels=2), "multilabel", ("a", "b")),
        (Parts(labels=1), "regress", ()),
        (Parts(pooler=False, tags=3), "tag", ("O", "B-x", "I-x")),
        (Parts(pooler=False, spans=True), "answer", ()),
        (Parts(pooler=False), "", ()),
    ],
)
def test_models_come_back(tmp_path: Path, parts: Parts, task: str, labels: tuple[str, ...]) -> None:
    model = loaded(parts, task=task, labels=labels, record={"task": task, "lineage": []})
    found = read(written(tmp_path / "google", model))
    assert_same(found, model)
    assert (found.task, found.labels, found.unused, found.record) == (task, labels, (), model.record)


def test_files_are_those_of_the_original(tmp_path: Path) -> None:
    folder = written(tmp_path / "google")
    assert sorted(path.name for path in folder.iterdir()) == [
        "bert_config.json",
        "bert_model.ckpt.data-00000-of-00001",
        "bert_model.ckpt.index",
        "bertwright.json",
        "vocab.txt",
    ]
    config = json.loads((folder / "bert_config.json").read_text())
    assert (config["hidden_size"], config["hidden_act"]) == (8, "gelu")
    shapes = {name: entry.shape for name, entry in Bundle(Folder(folder), PREFIX).entries.items()}
    assert shapes["bert/embeddings/word_embeddings"] == (10, 8)
    assert shapes["bert/encoder/layer_1/intermediate/dense/kernel"] == (8, 16), "as x @ kernel"
    assert shapes["bert/encoder/layer_0/attention/self/query/bias"] == (8,)
    assert shapes["bert/pooler/dense/kernel"] == (8, 8)
    assert shapes["cls/predictions/output_bias"] == (10,)
    assert shapes["cls/seq_relationship/output_weights"] == (2, 8)
    assert len(shapes) == 5 + 2 * 16 + 2 + 5 + 2


def test_what_the_original_has_no_place_for(tmp_path: Path) -> None:
    heard = Heard()
    write_checkpoint(tmp_path, loaded(Parts(pooler=False, tags=3)), say=heard.say)
    assert heard.said == [
        "the original code has no tagger: its weights get the names that forks of it use, output_weights and so on",
        "the model has no pooler, which the original code will draw anew",
    ]
    with pytest.raises(ModelError, match="reads the last four layers through an LSTM"):
        write_checkpoint(tmp_path, loaded(Parts(pooler=False, tags=3, lstm=4)), say=heard.say)


@pytest.mark.parametrize("inside", ["", "uncased_L-2_H-8_A-2/"])
def test_a_zip_is_read_as_it_is(tmp_path: Path, inside: str) -> None:
    folder = written(tmp_path / "google")
    packed = tmp_path / "uncased.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.iterdir(), reverse=True):
            file.write(path, inside + path.name)
        file.writestr("__MACOSX/._bert_model.ckpt.index", b"no index")
    assert_same(read(packed), loaded())
    assert not list(tmp_path.glob("*partial*"))


def test_a_prefix_and_an_index_name_a_checkpoint_too(tmp_path: Path) -> None:
    folder = written(tmp_path / "google")
    assert_same(read(folder / PREFIX), loaded())
    assert_same(read(folder / f"{PREFIX}.index"), loaded())
    assert is_checkpoint(folder)
    assert is_checkpoint(folder / PREFIX)
    assert not is_checkpoint(tmp_path)
    assert not is_checkpoint(folder / "vocab.txt")


def test_of_several_checkpoints_the_one_that_tensorflow_calls_the_last(tmp_path: Path) -> None:
    folder = written(tmp_path / "google")
    for ending in (".index", ".data-00000-of-00001"):
        shutil.copy(folder / (PREFIX + ending), folder / f"model.ckpt-1000{ending}")
        (folder / (PREFIX + ending)).rename(folder / f"model.ckpt-900{ending}")
    assert fault(folder) == (
        f"{folder}: holds several checkpoints: model.ckpt-1000, model.ckpt-900; name one, as in {folder}/model.ckpt-900"
    )
    (folder / "checkpoint").write_text('model_checkpoint_path: "/somewhere/model.ckpt-1000"\nall_model_check...')
    assert_same(read(folder), loaded())


def test_variables_of_training_are_told_and_unknown_ones_listed(tmp_path: Path) -> None:
    folder = written(tmp_path / "google")
    entries = Bundle(Folder(folder), PREFIX)
    tensors = entries.read(entries.entries)
    tensors |= {f"{name}/adam_m": tensor for name, tensor in tensors.items()} | {"global_step": torch.ones(())}
    write_bundle(folder, PREFIX, tensors | {"crf/transitions": torch.ones(3, 3)})
    forget_case(folder)
    heard = Heard()
    found = read_checkpoint(folder, progress=heard)
    assert_same(found, loaded())
    assert found.unused == ("crf/transitions",)
    assert heard.said == [
        f"{folder}: text is read in lower case, as the vocabulary shows",
        f"{folder}: left out, 47 variables of training, such as bert/embeddings/LayerNorm/beta/adam_m",
    ]


@pytest.mark.parametrize(
    ("pieces", "given", "lower"),
    [
        (["the", "##s", "中"], None, True),
        (["The", "##s", "中"], None, False),
        (["The", "##s"], True, True),
        (["the", "##s"], False, False),
        ([*(f"w{number}" for number in range(300)), "A"], None, True),
    ],
)
def test_case_is_as_the_vocabulary_shows(
    tmp_path: Path, pieces: Sequence[str], given: bool | None, lower: bool
) -> None:
    vocabulary = Vocabulary([*SPECIALS, "[unused1]", *pieces])
    model = small_model(PRETRAINING, config=loaded().model.config.model_copy(update={"vocab_size": 400}))
    folder = written(tmp_path / "google", LoadedModel(Path(), model, Tokenizer(vocabulary)))
    forget_case(folder)
    assert read_checkpoint(folder, lowercase=given, progress=Silent()).tokenizer.lowercase == lower


def forget_case(folder: Path) -> None:
    """As the original code has it."""
    config = json.loads((folder / "bert_config.json").read_text())
    for name in ("do_lower_case", "strip_accents", "tokenize_chinese_chars"):
        del config[name]
    (folder / "bert_config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("lower", [True, False])
def test_how_text_is_tokenized_comes_back(tmp_path: Path, lower: bool) -> None:
    tokenizer = Tokenizer(TOKENIZER.vocabulary, lowercase=lower, strip_accents=not lower, split_cjk=False)
    folder = written(tmp_path / "google", replace(loaded(), tokenizer=tokenizer))
    heard = Heard()
    assert read_checkpoint(folder, progress=heard).tokenizer.settings() == tokenizer.settings()
    assert heard.said == []


def test_added_tokens_come_back(tmp_path: Path) -> None:
    vocabulary = Vocabulary([*TOKENIZER.vocabulary.pieces[:-1], "[ENT]"])
    model = replace(loaded(), tokenizer=Tokenizer(vocabulary, added={"[ENT]": False}))
    found = read(written(tmp_path / "google", model)).tokenizer
    assert found.added == {"[ENT]": False}
    assert found.ids("dog[ENT]") == [7, 9]


def test_names_go_both_ways() -> None:
    for google, theirs, transposed in (
        ("bert/encoder/layer_11/output/LayerNorm/gamma", "bert.encoder.layer.11.output.LayerNorm.weight", False),
        ("bert/encoder/layer_0/attention/self/key/kernel", "bert.encoder.layer.0.attention.self.key.weight", True),
        ("bert/embeddings/position_embeddings", "bert.embeddings.position_embeddings.weight", False),
        ("bert/pooler/dense/bias", "bert.pooler.dense.bias", False),
        ("cls/predictions/transform/LayerNorm/beta", "cls.predictions.transform.LayerNorm.bias", False),
        ("cls/squad/output_weights", "qa_outputs.weight", False),
        ("output_bias", "classifier.bias", False),
    ):
        assert to_transformers(google) == (theirs, transposed)
        assert to_google(theirs) == (google, transposed)
    assert to_transformers("bert/pooler/dense/kernel/adam_v") is None
    assert to_transformers("crf/kernel") is None
    assert is_of_training("bert/pooler/dense/kernel/adam_v")
    assert is_of_training("global_step")
    assert not is_of_training("crf/kernel")


# Numbers of TensorFlow's types.
HALF, DOUBLE, BFLOAT16 = 19, 2, 14


def stored(folder: Path, entries: dict[bytes, tuple[Entry, Tensor | None]], shards: int) -> Bundle:
    """A checkpoint whose tensors lie where their entries say, with offsets, sizes and checksums filled in."""
    data = [bytearray() for _ in range(shards)]
    found = []
    for key, (entry, tensor) in entries.items():
        if tensor is None:
            found.append((key, write_entry(entry)))
            continue
        content = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        whole = replace(entry, offset=len(data[entry.shard]), size=len(content), crc=Checksum(content).masked())
        data[entry.shard] += content
        found.append((key, write_entry(whole)))
    for number, shard in enumerate(data):
        (folder / shard_name("x", number, shards)).write_bytes(shard)
    (folder / "x.index").write_bytes(write_table([(b"", write_header(Header(shards))), *sorted(found)]))
    return Bundle(Folder(folder), "x")


@pytest.mark.parametrize(
    ("number", "dtype"), [(HALF, torch.float16), (DOUBLE, torch.float64), (BFLOAT16, torch.bfloat16)]
)
def test_other_floating_point_numbers_become_fp32(tmp_path: Path, number: int, dtype: torch.dtype) -> None:
    tensor = torch.tensor([[1.5, -2.0], [0.25, 1e-3]], dtype=dtype)
    bundle = stored(tmp_path, {b"w": (Entry(number, (2, 2)), tensor)}, 1)
    assert torch.equal(bundle.read(["w"])["w"], tensor.float())


def test_a_partitioned_variable_in_several_data_files(tmp_path: Path) -> None:
    whole = torch.arange(12.0).view(4, 3)
    top, bottom = (Extent(0, 1), Extent()), (Extent(1, 3), Extent())
    entries: dict[bytes, tuple[Entry, Tensor | None]] = {
        b"w": (Entry(1, (4, 3), slices=(top, bottom)), None),
        slice_key("w", top): (Entry(1, (1, 3), shard=1), whole[:1]),
        slice_key("w", bottom): (Entry(1, (3, 3), shard=0), whole[1:]),
        b"b": (Entry(1, ()), torch.tensor(7.0)),
    }
    found = stored(tmp_path, entries, 2).read(["b", "w"])
    assert torch.equal(found["w"], whole)
    assert found["b"] == 7
    for name, broken, what in (
        (b"w", Entry(1, (4, 3), slices=(top,)), "the slices of `w` do not cover it"),
        (b"w", Entry(1, (4, 3), slices=(top, (Extent(2, 3), Extent()))), "a slice of `w` lies outside of it"),
        (b"w", Entry(1, (4, 3), slices=(top, (Extent(0, 3), Extent()))), "a slice of `w` is not there"),
        (b"w", Entry(HALF, (4, 3), slices=(top, bottom)), "a slice of `w` is not what it should be"),
    ):
        bundle = stored(tmp_path, entries | {name: (broken, None)}, 2)
        with pytest.raises(ModelError, match=what):
            bundle.read(["w"])


def test_what_is_missing_or_damaged_is_told(tmp_path: Path) -> None:
    folder = written(tmp_path / "google")
    data, index = folder / f"{PREFIX}.data-00000-of-00001", folder / f"{PREFIX}.index"
    content = data.read_bytes()
    size = len(content)
    name = "`cls/seq_relationship/output_weights`"
    data.write_bytes(content[:-1])
    assert fault(folder) == f"{data}: has {size - 1:,} bytes, and {name} ends at {size:,}; copy it again"
    data.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert fault(folder) == f"{data}: the checksum of {name} is wrong; copy it again"
    data.unlink()
    assert fault(folder).startswith(f"{data}: no such file; `bert/embeddings/LayerNorm/beta` lies in it; copy it")
    data.write_bytes(content)
    whole = index.read_bytes()
    index.write_bytes(whole[:-9])
    assert fault(folder) == f"{index}: is no index of a TensorFlow checkpoint, or not a whole one; copy it again"
    index.write_bytes(b"")
    assert "is no index" in fault(folder)
    index.write_bytes(whole)
    (folder / "vocab.txt").rename(tmp_path / "vocab.txt")
    assert fault(folder) == (
        f"{folder}: has no vocab.txt, and without its vocabulary a model can read nothing; "
        "copy it there from where the checkpoint was released"
    )
    (folder / "bert_config.json").unlink()
    assert fault(folder) == f"{folder}: holds no bert_config.json, which tells the shape of the model"
    index.unlink()
    assert fault(folder) == f"{folder}: holds no checkpoint of TensorFlow: a name that ends in .index is expected"
    assert fault(tmp_path / "no") == (
        f"{tmp_path / 'no'}: no such checkpoint; name a folder, a .zip, or what comes before .index"
    )
    (tmp_path / "no.zip").write_bytes(b"PK\3\4 and no more")
    assert fault(tmp_path / "no.zip").startswith(f"{tmp_path / 'no.zip'}: is no whole .zip: ")


def test_a_variable_that_is_missing_or_of_another_shape(tmp_path: Path) -> None:
    folder = written(tmp_path / "google")
    bundle = Bundle(Folder(folder), PREFIX)
    tensors = bundle.read(bundle.entries)
    config = folder / "bert_config.json"
    whole = config.read_text()
    config.write_text(whole.replace('"vocab_size": 10', '"vocab_size": 11'))
    assert fault(folder) == (
        f"{folder}: `bert/embeddings/word_embeddings` has shape (10, 8), but bert_config.json makes it (11, 8)"
    )
    config.write_text(whole)
    for name in list(tensors):
        if "layer_1/attention" in name:
            del tensors[name]
    write_bundle(folder, PREFIX, tensors)
    assert fault(folder).startswith(f"{folder}: the weights lack `bert.encoder.layer.1.attention.self.query.weight`, ")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"shape": (1 << 38, 4)}, "has 4 bytes, which its shape (274877906944, 4) does not take"),
        ({"shape": (1 << 50, 4)}, "a tensor is larger than any is"),
        ({"shape": (0, 1 << 62, 1 << 62), "size": 0}, "a tensor is larger than any is"),
        ({"shape": (1,) * 1000}, "a tensor is larger than any is"),
        ({"slices": ((Extent(0, 1),),) * 20_000}, "a tensor lies in more slices than any has"),
        ({"shape": (1 << 40,), "size": 1 << 42}, "has 4 bytes, and `w` ends at 4,398,046,511,104"),
        ({"offset": 1 << 62}, "has 4 bytes, and `w` ends at"),
        ({"shard": 7}, "`w` lies in data file 8 of 1"),
        ({"dtype": 7}, "`w` holds no floating-point numbers (type 7)"),
    ],
)
def test_hostile_entries(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    (tmp_path / "x.data-00000-of-00001").write_bytes(bytes(4))
    entry = replace(Entry(1, (1,), size=4, crc=Checksum(bytes(4)).masked()), **change)
    (tmp_path / "x.index").write_bytes(write_table([(b"", write_header(Header(1))), (b"w", write_entry(entry))]))
    with little_memory(), pytest.raises(ModelError) as caught:
        Bundle(Folder(tmp_path), "x").read(["w"])
    assert what in str(caught.value)


@contextmanager
def little_memory() -> Iterator[None]:
    """Whoever takes half a gigabyte more than the process has had fails meanwhile, by an error that no user caused."""
    if not sys.platform.startswith("linux"):
        yield
        return
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 29), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_memory_is_truly_limited() -> None:
    with little_memory(), pytest.raises(RuntimeError, match="memory"):
        # More than other tests may have left free in this process.
        torch.empty(1 << 32, dtype=torch.uint8)


def is_refused_in_one_line(folder: Path) -> bool:
    try:
        with little_memory():
            read(folder)
    except UserFault as error:
        told = str(error)
    else:
        return False
    assert "\n" not in told
    return True


def test_a_small_file_is_no_large_model(tmp_path: Path) -> None:
    """Variables that share their bytes, layers that the shape does not have, a slice that comes twice."""
    folder = written(tmp_path / "google")
    entries = dict(read_table((folder / f"{PREFIX}.index").read_bytes()))
    kernel = b"bert/encoder/layer_0/output/dense/kernel"
    shared = entries | {b"bert/encoder/layer_1/output/dense/kernel": entries[kernel]}
    (folder / f"{PREFIX}.index").write_bytes(write_table(sorted(shared.items())))
    assert "two variables lie in the same place" in fault(folder)

    more = entries | {kernel.replace(b"layer_0", b"layer_%d" % number): entries[kernel] for number in range(2, 2000)}
    (folder / f"{PREFIX}.index").write_bytes(write_table(sorted(more.items())))
    found = read(folder)
    assert_same(found, loaded())
    assert len(found.unused) == 1998

    half = (Extent(0, 2),)
    tensor = torch.arange(2.0)
    twice: dict[bytes, tuple[Entry, Tensor | None]] = {
        b"w": (Entry(1, (4,), slices=(half, half)), None),
        slice_key("w", half): (Entry(1, (2,)), tensor),
    }
    with pytest.raises(ModelError, match="two variables lie in the same place"):
        stored(tmp_path, twice, 1).read(["w"])


@pytest.mark.parametrize("record", [{"max_length": "x"}, {"lineage": "abc"}, {"lineage": [1]}, {"metrics": 5}])
def test_a_record_that_no_command_writes(tmp_path: Path, record: dict[str, Any]) -> None:
    folder = written(tmp_path / "google")
    (folder / "bertwright.json").write_text(json.dumps(record))
    assert fault(folder).startswith(f"{folder / 'bertwright.json'}: ")


def test_no_damage_to_a_zip_makes_more_than_one_line(tmp_path: Path) -> None:
    folder = written(tmp_path / "google")
    chance = random.Random(9)
    refused = 0
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        packed = tmp_path / f"{kind}.zip"
        with zipfile.ZipFile(packed, "w", kind) as file:
            for path in folder.iterdir():
                file.write(path, path.name)
        whole = packed.read_bytes()
        for _ in range(150):
            content = bytearray(whole)
            for _ in range(chance.randint(1, 3)):
                # Where its directory stands, as often as elsewhere.
                content[-chance.randrange(1, 400) if chance.random() < 0.5 else chance.randrange(len(content))] = (
                    chance.randrange(256)
                )
            packed.write_bytes(content)
            refused += is_refused_in_one_line(packed)
    assert refused > 200


def test_no_damage_makes_more_than_one_line(tmp_path: Path) -> None:
    """Bits flipped, bytes cut out and put in, in every file: a fault of one line, or the same model."""
    folder = written(tmp_path / "google")
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    chance = random.Random(7)
    refused = 0
    for _ in range(400):
        name = chance.choice(list(whole))
        content = bytearray(whole[name])
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(content))
            match chance.randrange(4):
                case 0:
                    content[at] ^= 1 << chance.randrange(8)
                case 1:
                    del content[at : at + chance.randrange(1, 40)]
                case 2:
                    content[at:at] = chance.randbytes(chance.randrange(1, 40))
                case _:
                    content[at] = 0xFF
            content = content or bytearray(b"\0")
        (folder / name).write_bytes(content)
        refused += is_refused_in_one_line(folder)
        (folder / name).write_bytes(whole[name])
    assert refused > 250
    assert_same(read(folder), loaded())


def test_no_damage_behind_right_checksums_makes_more_than_one_line(tmp_path: Path) -> None:
    """The same within the entries of the index, whose checksums are then made anew."""
    folder = written(tmp_path / "google")
    index = folder / f"{PREFIX}.index"
    entries = list(read_table(index.read_bytes()))
    chance = random.Random(8)
    for _ in range(300):
        broken = list(entries)
        number = chance.randrange(len(broken))
        key, value = broken[number]
        changed = bytearray(value)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        broken[number] = (key, bytes(changed))
        index.write_bytes(write_table(broken))
        is_refused_in_one_line(folder)
