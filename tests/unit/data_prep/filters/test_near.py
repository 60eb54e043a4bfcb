"""Sketches and LSH against exact Jaccard similarity, computed here from Python sets.

1. A sketch's agreement estimates the exact similarity, within its standard error, without bias.
2. LSH finds candidates as often as its formula says.
3. The step finds every pair over the threshold and no other, when it may fetch rows.
4. Batches and repetition change nothing; a row goes only for one that is kept and is similar.
"""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.duplicates.keep import choose, preference
from data_prep.duplicates.lsh import WINDOW, band_keys, pairs, rows_per_band
from data_prep.duplicates.minhash import BINS, checks, estimate, sketches
from data_prep.duplicates.near import NearDuplicates
from data_prep.filters.base import concatenate
from data_prep.filters.shingles import Words, mix


def sets_as_words(sets: list[set[int]]) -> Words:
    """Sets of numbers in the shape in which texts' n-grams come."""
    hashes = [mix(np.array(sorted(s), dtype=np.uint64)) for s in sets]
    starts = np.cumsum([0, *(len(s) for s in sets)])
    return Words(np.concatenate(hashes) if hashes else np.zeros(0, np.uint64), starts)


@pytest.mark.parametrize("size", [3, 30, 400])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_agreement_estimates_jaccard_without_bias(size: int, share: float) -> None:
    common = round(2 * size * share / (1 + share))
    exact = common / (2 * size - common)
    draws = 200
    sets: list[set[int]] = []
    for draw in range(draws):
        base = draw * 10_000
        sets.append(set(range(base, base + size)))
        sets.append(set(range(base + size - common, base + 2 * size - common)))
    found = checks(sketches(sets_as_words(sets)))
    values = estimate(found[0::2], found[1::2])
    error = (exact * (1 - exact) / BINS) ** 0.5
    assert abs(values.mean() - exact) < 4 * error / draws**0.5 + 1e-9
    assert values.std() <= 1.25 * error + 1e-9


def test_equal_sets_agree_and_disjoint_ones_do_not() -> None:
    table = sketches(sets_as_words([{1, 2, 3}, {3, 2, 1}, {7, 8}, set(), set()]))
    assert (table[0] == table[1]).all()
    assert not (table[0] == table[2]).any()
    assert (table[3] == table[4]).all() and (table[3] == np.uint64(2**64 - 1)).all()


def test_a_sketch_does_not_depend_on_its_batch() -> None:
    sets = [set(range(i, i + 1 + i * i)) for i in range(12)]
    whole = sketches(sets_as_words(sets))
    single = np.concatenate([sketches(sets_as_words([s])) for s in sets])
    assert (whole == single).all()
    assert not (sketches(sets_as_words(sets), seed=2) == whole).all()


def test_rows_per_band_by_the_formula() -> None:
    # 1 - (1 - 0.7**4)**32 = 0.99985; with 5 rows in 25 bands 0.9900, below 0.999.
    assert rows_per_band(0.7) == 4
    assert 1 - (1 - 0.8**5) ** 25 > 0.999 > 1 - (1 - 0.8**6) ** 21
    assert rows_per_band(0.8) == 5


def test_candidates_come_as_often_as_the_formula_says() -> None:
    draws, size, common = 600, 40, 20  # similarity 1/3
    sets = []
    for draw in range(draws):
        base = draw * 1000
        sets += [set(range(base, base + size)), set(range(base + size - common, base + 60))]
    keys = band_keys(sketches(sets_as_words(sets)), 4)
    hit = (keys[0::2] == keys[1::2]).any(axis=1).mean()
    wanted = 1 - (1 - (1 / 3) ** 4) ** 32
    assert abs(hit - wanted) < 4 * (wanted * (1 - wanted) / draws) ** 0.5


def test_pairs_within_a_bucket_and_the_window() -> None:
    keys = np.array([[1], [2], [1], [1]], dtype=np.uint32)
    found = {(int(a), int(b)) for left, right in pairs(keys) for a, b in zip(left, right)}  # noqa: B905
    assert found == {(0, 2), (2, 3), (0, 3)}
    many = np.zeros((200, 1), dtype=np.uint32)
    spans = [int(b - a) for left, right in pairs(many) for a, b in zip(left, right)]  # noqa: B905
    assert max(spans) == WINDOW and min(spans) == 1


def jaccard(left: str, right: str, n: int = 5) -> float:
    first, second = (
        {tuple(w[i : i + n]) for i in range(len(w) - n + 1)} for w in (left.split(), right.split())
    )
    return len(first & second) / len(first | second)


def corpus(count: int, words: int, seed: int) -> list[str]:
    """Texts of which every fifth is an edited copy of one before it."""
    draw = random.Random(seed)
    known = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 7))) for _ in range(3000)]
    texts: list[str] = []
    for number in range(count):
        if number % 5 == 4:
            copy = draw.choice(texts[-20:]).split()
            for _ in range(draw.randint(0, words // 15)):
                copy[draw.randrange(len(copy))] = draw.choice(known)
            texts.append(" ".join(copy))
        else:
            texts.append(" ".join(draw.choices(known, k=words)))
    return texts


@pytest.mark.parametrize("words", [25, 100])
def test_recall_and_precision_against_exact_jaccard(make, words: int) -> None:
    texts = corpus(350, words, seed=words)
    rows = [make.sft("", text, id=str(i)) for i, text in enumerate(texts)]
    step = NearDuplicates(numbers="any")
    signatures = concatenate([step.signatures(rows[i : i + 100]) for i in range(0, 350, 100)])
    true = {
        (i, j)
        for i in range(350)
        for j in range(max(0, i - 50), i)
        if jaccard(texts[i], texts[j]) >= 0.7
    }
    assert len(true) > 30
    exact = list(step.similar(signatures, lambda at: [rows[i] for i in at]))
    assert {(max(a, b), min(a, b)) for a, b, _ in exact} == true
    for a, b, value in exact:
        assert value == pytest.approx(jaccard(texts[a], texts[b]))
    estimated = {(max(a, b), min(a, b)) for a, b, _ in step.similar(signatures)}
    sure = {pair for pair in true if jaccard(*(texts[i] for i in pair)) >= 0.82}
    assert sure and sure <= estimated
    assert all(jaccard(*(texts[i] for i in pair)) > 0.55 for pair in estimated)


def test_batches_and_repetition_change_nothing(make) -> None:
    texts = corpus(200, 40, seed=3)
    rows = [make.sft("", text, id=str(i)) for i, text in enumerate(texts)]
    ids = [str(i) for i in range(200)]
    step = NearDuplicates()
    cuts = ([0, 200], [0, 1, 50, 51, 200])
    found = [
        step.resolve(concatenate([step.signatures(rows[a:b]) for a, b in pairwise(cut)]), ids)
        for cut in (*cuts, cuts[0])
    ]
    assert found[0] and found[0] == found[1] == found[2]
    assert all(finding.evidence["kept"] not in found[0] for finding in found[0].values())


def test_other_figures_make_another_task(make) -> None:
    story = "Tom walks {} miles to the market and then {} miles back home before he sleeps a while"
    rows = [
        make.rl(story.format(3, 4), "7", "a"),
        make.rl(story.format(3, 5), "8", "b"),
        make.rl(story.format(4, 3), "7", "c"),
        make.rl(story.format(3, 4) + " soundly", "7", "d"),
    ]
    ids = list("abcd")
    fetch = lambda at: [rows[i] for i in at]  # noqa: E731
    same = NearDuplicates(threshold=0.3)
    assert list(same.resolve(same.signatures(rows), ids, fetch)) == ["d"]
    either = NearDuplicates(threshold=0.2, numbers="any")
    assert sorted(either.resolve(either.signatures(rows), ids, fetch)) == ["b", "c", "d"]


def test_rows_repeated_a_hundred_times_cost_no_pairs(make, monkeypatch) -> None:
    texts = [" ".join(f"w{i}x{j}" for j in range(30)) for i in range(3)]
    near = texts[0] + " more"
    rows = [make.sft("", t, f"{n}/{i}") for n in range(100) for i, t in enumerate((*texts, near))]
    seen: list[int] = []

    def fetch(at) -> list:
        seen.extend(at)
        return [rows[i] for i in at]

    step = NearDuplicates(numbers="any")
    ids = [row["extra_info"]["id"] for row in rows]
    found = step.resolve(step.signatures(rows), ids, fetch)
    assert sorted(set(ids) - set(found)) == ["0/0", "0/1", "0/2"]
    assert found["7/1"].evidence["kept"] == "0/1" and found["7/3"].evidence["kept"] == "0/0"
    assert len(seen) == 2  # the one pair that is not of equal sketches


def test_held_out_rows_stay_and_training_rows_like_them_go(make) -> None:
    text = " ".join(f"w{i}" for i in range(40))
    rows = [
        make.sft("", text, "train/0"),
        make.sft("", text + " x", "test/0", "test"),
        make.sft("", text + " y", "test/1", "test"),
    ]
    step = NearDuplicates(numbers="any")
    found = step.resolve(step.signatures(rows), ["train/0", "test/0", "test/1"])
    assert {k: v.reason for k, v in found.items()} == {"train/0": "duplicate_near_held_out"}


def test_texts_without_words_are_never_duplicates(make) -> None:
    rows = [make.sft("", "...", "a"), make.sft("", "!!!", "b"), make.sft("", "", "c")]
    step = NearDuplicates()
    assert step.resolve(step.signatures(rows), list("abc")) == {}


def test_a_chain_does_not_swallow_its_far_end() -> None:
    # 0 ~ 1 ~ 2, but 0 and 2 are not alike: 1 goes for 0, and 2 stays.
    assert choose([(0, 1, 0.9), (1, 2, 0.8)], [0, 1, 2]) == {1: (0, 0.9)}
    assert choose([(0, 1, 0.9), (1, 2, 0.8)], [1, 0, 2]) == {0: (1, 0.9), 2: (1, 0.8)}
    assert preference(np.array([False, True, False, True])).tolist() == [1, 3, 0, 2]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30),
    st.permutations(range(10)),
)
@settings(max_examples=100, deadline=None)
def test_what_goes_has_a_kept_neighbour_and_what_stays_has_none(
    drawn: list[tuple[int, int]], order: list[int]
) -> None:
    edges = {(min(e), max(e)) for e in drawn if e[0] != e[1]}
    gone = choose([(a, b, 1.0) for a, b in sorted(edges)], order)
    for position, (kept, _) in gone.items():
        assert kept not in gone and tuple(sorted((position, kept))) in edges
    assert not any(a not in gone and b not in gone for a, b in edges)
