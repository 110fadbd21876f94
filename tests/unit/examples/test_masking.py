from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from bertwright.batches.pretraining import PretrainingBatches
from bertwright.errors import SettingsError
from bertwright.examples.masking import IGNORED, Masked, choose_units, mask_tokens, random_words, span_lengths
from bertwright.examples.plan import Cursor, ExamplePlan
from bertwright.examples.settings import ExampleSettings
from bertwright.randomness import Stream
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary
from tests.support import letters, shards_of

VOCABULARY = letters(40)
WORDS = random_words(VOCABULARY)
MASK, CLS, SEP, PAD = VOCABULARY.mask_id, VOCABULARY.cls_id, VOCABULARY.sep_id, VOCABULARY.pad_id
SIGMAS = 5


def masked(rows: list[list[int]], examples: list[int], *, length: int = 20, epoch: int = 0) -> Masked:
    """Mask rows of ids, padded to `length`."""
    ids = np.full((len(rows), length), PAD)
    for row, values in enumerate(rows):
        ids[row, : len(values)] = values
    candidates = ~np.isin(ids, [CLS, SEP, PAD])
    settings = ExampleSettings(max_length=length)
    lengths = np.array([len(row) for row in rows])
    return mask_tokens(
        ids,
        candidates,
        np.ones_like(candidates),
        lengths,
        np.array(examples),
        settings,
        Stream(0, "masking", epoch),
        MASK,
        WORDS,
    )


SENTENCE = [CLS, *range(5, 15), SEP, *range(20, 26), SEP]


def test_the_number_of_hidden_words() -> None:
    rows = [[CLS, *range(5, 5 + words), SEP] for words in (1, 2, 5, 8, 14, 18)]
    found = masked(rows, list(range(6)))
    #                                0.45 -> 1, .6 -> 1, 1.05 -> 1, 1.5 -> 2, 2.4 -> 2, 3
    assert found.counts.tolist() == [1, 1, 1, 2, 2, 3]
    assert found.labels.shape == found.positions.shape == (6, 3)
    for row, count in enumerate(found.counts.tolist()):
        assert (found.labels[row, :count] != IGNORED).all()
        assert (found.labels[row, count:] == IGNORED).all()
        assert (found.positions[row, count:] == 0).all()
        assert (np.diff(found.positions[row, :count]) > 0).all()


def test_labels_are_what_stood_there_and_the_rest_is_untouched() -> None:
    found = masked([SENTENCE] * 50, list(range(50)))
    original = np.array([*SENTENCE, PAD])
    for row in range(50):
        count = found.counts[row]
        positions = found.positions[row, :count]
        assert (found.labels[row, :count] == original[positions]).all()
        others = np.setdiff1d(np.arange(20), positions)
        assert (found.input_ids[row, others] == original[others]).all()


def test_a_mask_depends_on_the_example_and_the_epoch_alone() -> None:
    def positions(found: Masked, row: int) -> list[list[int]]:
        return [found.positions[row].tolist(), found.input_ids[row].tolist()[: len(SENTENCE)]]

    one = masked([SENTENCE] * 9, list(range(9)))
    other = masked([SENTENCE[::-1], SENTENCE], [77, 4], length=20)
    assert positions(other, 1) == positions(one, 4)
    # A wider padding changes nothing but the width.
    ids = np.full((1, 40), PAD)
    ids[0, : len(SENTENCE)] = SENTENCE
    settings, stream = ExampleSettings(max_length=20), Stream(0, "masking", 0)
    lengths, example = np.array([len(SENTENCE)]), np.array([4])
    candidates = ~np.isin(ids, [CLS, SEP, PAD])
    wide = mask_tokens(ids, candidates, np.ones_like(candidates), lengths, example, settings, stream, MASK, WORDS)
    assert positions(wide, 0) == positions(one, 4)


def test_masks_differ_between_epochs_and_examples() -> None:
    rows = [SENTENCE] * 200
    first, second = masked(rows, list(range(200))), masked(rows, list(range(200)), epoch=1)
    same = (first.positions == second.positions).all(axis=1)
    # Three of 16 positions: one in 560 falls on the same.
    assert same.sum() < 6
    assert len({tuple(row) for row in first.positions.tolist()}) > 100


def test_random_words_are_no_special_pieces() -> None:
    assert WORDS.tolist() == list(range(5, 45))


def test_shares_that_add_up_to_more_than_all_are_refused() -> None:
    with pytest.raises(SettingsError, match="add up to more than 1"):
        ExampleSettings.from_values({"mask_token_fraction": 0.8, "random_token_fraction": 0.3})


# 100,000 examples, from the shard to the batch


class Sums:
    """Counts over many examples of 60 tokens at most."""

    def __init__(self, examples: int) -> None:
        random = np.random.default_rng(0)
        documents = [
            [random.integers(5, 45, size=random.integers(3, 30)).tolist() for _ in range(random.integers(1, 30))]
            for _ in range(1500)
        ]
        settings = ExampleSettings(max_length=60, packed=False)
        plan = ExamplePlan(shards_of(documents, 100), settings, seed=1)
        batches = PretrainingBatches(plan, VOCABULARY, fixed_shape=True)
        self.labels: list[np.ndarray] = []
        self.shown: list[np.ndarray] = []
        self.offered = np.zeros(60)
        self.chosen = np.zeros(60)
        self.tokens = self.wanted = self.examples = self.is_next = self.odd_choices = 0
        cursor = Cursor()
        while self.examples < examples:
            batch = batches.build(cursor, 2000)
            ids, mask = batch.input_ids.numpy(), batch.attention_mask.numpy() > 0
            labels = batch.masked_labels.numpy().reshape(2000, -1)
            positions, real = batch.masked_positions.numpy(), labels != IGNORED
            rows = np.nonzero(real)[0]
            restored = ids.copy()
            restored[rows, positions[real]] = labels[real]
            self.labels.append(labels[real])
            self.shown.append(ids[rows, positions[real]])
            self.odd_choices += int(np.isin(labels[real], VOCABULARY.special_ids).sum())
            self.odd_choices += int((~mask[rows, positions[real]]).sum())
            assert ((restored == PAD) == ~mask).all()
            assert ((restored == CLS).sum(axis=1) == 1).all()
            assert ((restored == SEP).sum(axis=1) == 2).all()
            assert (restored != MASK).all()
            # Where full examples offer a word, and where one is chosen.
            full = mask.all(axis=1)
            self.offered += (~np.isin(restored[full], [CLS, SEP])).sum(axis=0)
            self.chosen += np.bincount(positions[full][real[full]], minlength=60)
            lengths = mask.sum(axis=1)
            assert (real.sum(axis=1) == np.maximum(1, np.round(lengths * 0.15))).all()
            self.tokens += int(lengths.sum())
            self.examples += 2000
            self.is_next += int((batch.next_sentence_labels == 0).sum())
            cursor = plan.advance(cursor, 2000)
        self.epochs = cursor.epoch


@cache
def sums() -> Sums:
    return Sums(100_000)


def assert_share(hits: int, count: int, share: float) -> None:
    sigma = np.sqrt(share * (1 - share) / count)
    assert abs(hits / count - share) < SIGMAS * sigma, f"{hits / count:.5f} and not {share:.5f}, sigma {sigma:.5f}"


def test_fifteen_in_a_hundred_are_chosen_and_never_the_frame() -> None:
    found = sums()
    chosen = sum(map(len, found.labels))
    assert found.odd_choices == 0
    # The number in each example is exact but for rounding, which is fair to within half a word an example.
    assert abs(chosen / found.tokens - 0.15) < 0.002


def test_eighty_ten_ten() -> None:
    found = sums()
    labels, shown = np.concatenate(found.labels), np.concatenate(found.shown)
    masked = shown == MASK
    same = shown == labels
    assert_share(int(masked.sum()), len(labels), 0.8)
    # A random word is the word itself once in 40 times.
    assert_share(int(same.sum()), len(labels), 0.1 + 0.1 / 40)
    assert_share(int((~masked & ~same).sum()), len(labels), 0.1 * 39 / 40)


def test_random_words_are_uniform() -> None:
    found = sums()
    labels, shown = np.concatenate(found.labels), np.concatenate(found.shown)
    counts = np.bincount(shown[(shown != MASK) & (shown != labels)], minlength=45)[5:]
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 39 + SIGMAS * np.sqrt(2 * 39)


def test_every_position_is_as_likely_as_the_next() -> None:
    found = sums()
    share = found.chosen.sum() / found.offered.sum()
    offered = found.offered[1:-1]
    sigma = np.sqrt(share * (1 - share) * offered)
    assert (np.abs(found.chosen[1:-1] - share * offered) < SIGMAS * sigma).all()


def test_half_of_the_second_sentences_follow() -> None:
    found = sums()
    # Each epoch is balanced to within one; the last, which is not whole, to within what a window shuffles.
    assert found.epochs >= 3
    assert_share(found.is_next, found.examples, 0.5)


def grid(text: str) -> np.ndarray:
    """Rows of marks as an array of truth values, `x` for true."""
    return np.array([[mark == "x" for mark in row] for row in text.split()])


def test_words_are_chosen_whole_by_eye() -> None:
    #            [CLS] a ##a b c ##c ##c [SEP] d e ##e [SEP]
    candidates = grid(".xxxxxx.xxx.")
    starts = grid("xx.xx..xxx.x")
    keys = np.array([[99, 3, 0, 5, 1, 0, 0, 99, 4, 2, 0, 99]], dtype=np.uint64)
    words = np.ones_like(keys, dtype=np.int64)
    for wanted, expected in (
        (1, "........x..."),  # c is too long, and e, and a: d comes next
        (2, ".........xx."),  # c is too long: e
        (3, "....xxx....."),
        (5, "....xxx..xx."),  # c, then e
        (6, "....xxx.xxx."),  # a does not fit any more, d does
    ):
        found = choose_units(keys, candidates, starts, np.array([wanted]), words)
        assert "".join("x" if taken else "." for taken in found[0]) == expected


def test_a_span_goes_over_words_but_not_over_a_separator() -> None:
    candidates, starts = grid(".xxxxxx.xxx."), grid("xx.xx..xxx.x")
    keys = np.array([[99, 3, 0, 5, 1, 0, 0, 99, 4, 2, 0, 99]], dtype=np.uint64)
    lengths = np.full((1, 12), 3)
    found = choose_units(keys, candidates, starts, np.array([3]), lengths)  # three words from c: only c is left there
    assert "".join("x" if taken else "." for taken in found[0]) == "....xxx....."
    # Now e is first, alone before its separator. Five are left: three words from a are six pieces, too many, and d goes
    # over e, but b and c fit. One is left: a has two pieces, d fits when it is tried alone.
    keys[0, 4] = 50
    found = choose_units(keys, candidates, starts, np.array([7]), lengths)
    assert "".join("x" if taken else "." for taken in found[0]) == "...xxxx.xxx."


def test_a_word_longer_than_all_that_is_wanted_is_hidden_in_part() -> None:
    found = choose_units(
        np.zeros((1, 6), dtype=np.uint64),
        grid(".xxxx."),
        grid("xx...x"),
        np.array([2]),
        np.ones((1, 6), dtype=np.int64),
    )
    assert found.tolist() == grid(".xx...").tolist()


def test_the_lengths_of_spans_fall_as_one_over_n() -> None:
    random = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint64)
    found = np.bincount(span_lengths(random, 3), minlength=4)[1:] / len(random)
    for share, wanted in zip(found, np.array([6, 3, 2]) / 11, strict=True):
        assert abs(share - wanted) < SIGMAS * (wanted / len(random)) ** 0.5


@pytest.mark.parametrize("unit", ["whole_word", "span"])
def test_whole_words_are_hidden_and_the_shares_are_kept(unit: str) -> None:
    vocabulary = Vocabulary([*SPECIALS, *"abcdefgh", *(f"##{mark}" for mark in "abcdefgh")])
    random = np.random.default_rng(0)
    documents = [[random.integers(5, 21, 12).tolist() for _ in range(8)] for _ in range(1000)]
    settings = ExampleSettings.from_values({"max_length": 64, "masked_unit": unit, "packed": False})
    shards = shards_of(documents, 500, within=range(13, 21))  # the pieces that begin with ##
    builder = PretrainingBatches(ExamplePlan(shards, settings, seed=0), vocabulary)
    batch = builder.build(Cursor(), 1500)
    ids, positions = batch.input_ids.numpy(), batch.masked_positions.numpy()
    labels = batch.masked_labels.numpy().reshape(positions.shape)
    real = labels != IGNORED
    wanted = np.clip(np.round((batch.attention_mask.numpy() > 0).sum(axis=1) * 0.15), 1, settings.max_predictions)
    # As many as wanted, but where no word left is short enough.
    assert (real.sum(axis=1) <= wanted).all()
    assert real.sum() / wanted.sum() > 0.97
    hidden = np.zeros(ids.shape, dtype=bool)
    whole = ids.copy()
    for row in range(len(ids)):
        hidden[row, positions[row, real[row]]] = True
        whole[row, positions[row, real[row]]] = labels[row, real[row]]
    goes_on = np.array([piece.startswith("##") for piece in vocabulary.pieces])[whole]
    # Of two neighbours in one word both are hidden or neither, but where one word alone was too long.
    parted = goes_on[:, 1:] & (hidden[:, 1:] != hidden[:, :-1]) & ~np.isin(whole[:, :-1], vocabulary.special_ids)
    assert parted.any(axis=1).mean() < 0.02
    count = int(real.sum())
    masks = (ids[hidden] == vocabulary.mask_id).sum()
    assert abs(masks - 0.8 * count) < SIGMAS * (count * 0.16) ** 0.5


def test_static_masks_come_again_after_so_many_epochs() -> None:
    shards = shards_of([[[5, 6, 7, 8, 9]] * 3] * 40, 20)

    def batches(distinct: int | None) -> list[bytes]:
        settings = ExampleSettings(max_length=16, distinct_epochs=distinct)
        plan = ExamplePlan(shards, settings, seed=0)
        builder = PretrainingBatches(plan, VOCABULARY)
        return [builder.build(Cursor(epoch, 0), 20).input_ids.numpy().tobytes() for epoch in range(4)]

    dynamic, static = batches(None), batches(2)
    assert len(set(dynamic)) == 4
    assert static == [dynamic[0], dynamic[1], dynamic[0], dynamic[1]]
