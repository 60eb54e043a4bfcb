"""Normal forms and numbers by examples; word hashes against Python's own words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.filters import shingles
from data_prep.filters.shingles import hash_words, ngrams
from data_prep.filters.text import figures_of, normal_form, numbers_of, plain, words_of


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("What is 3+4?", "what  IS 3 + 4"),
        ("It\u2019s \u201cfine\u201d \u2014 really.", 'it\'s "fine" - really'),
        ("well-known", "well known"),
        ("1,000 apples.", "1000 apples"),
        ("Find $x^2$.", "find x^2"),
        ("caf\u00e9", "cafe\u0301"),
    ],
)
def test_equal_normal_forms(left: str, right: str) -> None:
    assert normal_form(left) == normal_form(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("3+4", "3-4"),
        ("88/(4/2)", "88/4/2"),
        ("2.5", "25"),
        ("x < 3", "x > 3"),
        ("a_1", "a_2"),
    ],
)
def test_different_normal_forms(left: str, right: str) -> None:
    assert normal_form(left) != normal_form(right)


def test_unspaced_scripts_are_words_sign_by_sign() -> None:
    assert words_of("\u4f60\u597d world") == ["\u4f60", "\u597d", "world"]


def test_numbers() -> None:
    text = "Twenty-five cats, 1,000 dogs, 3.50 birds and three more, twice; 007"
    assert numbers_of(text) == sorted(["25", "1000", "3.5", "3", "2", "7"])
    assert figures_of("7 then 3.0 then 1,000") == ["7", "3", "1000"]


texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)


@given(st.lists(texts, max_size=6))
@settings(max_examples=150, deadline=None)
def test_words_hash_alike_exactly_where_they_are_equal(batch: list[str]) -> None:
    words = hash_words(batch)
    plain_words = [words_of(text) for text in batch]
    assert words.counts.tolist() == [len(w) for w in plain_words]
    flat = [word for w in plain_words for word in w]
    seen: dict[str, int] = {}
    for word, value in zip(flat, words.hashes.tolist(), strict=True):
        assert seen.setdefault(word, value) == value
    assert len(set(seen.values())) == len(seen)


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "ba", "abc", "cab"]), max_size=12), st.integers(1, 5)
)
@settings(max_examples=150, deadline=None)
def test_ngrams_are_equal_exactly_where_the_words_are(words: list[str], n: int) -> None:
    grams = ngrams(hash_words([" ".join(words)]), n, short=False)
    tuples = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    assert len(grams.hashes) == len(tuples)
    assert len(set(grams.hashes.tolist())) == len(set(tuples))


def test_ngrams_never_cross_texts_and_short_texts_give_one() -> None:
    grams = ngrams(hash_words(["a b", "c d e", ""]), 3)
    alone = ngrams(hash_words(["a b"]), 2)
    assert grams.counts.tolist() == [1, 1, 0]
    assert grams.hashes[0] == alone.hashes[0]
    assert ngrams(hash_words(["a b", "c d e"]), 3, short=False).counts.tolist() == [0, 1]


def test_hashes_do_not_depend_on_batch_or_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = [f"word{i} Other{i * i} \u00fcber {'x' * i}" for i in range(60)]
    whole = hash_words(batch)
    single = np.concatenate([hash_words([text]).hashes for text in batch])
    assert (whole.hashes == single).all()
    monkeypatch.setattr(shingles, "CHUNK", 100)
    shingles._powers.cache_clear()
    try:
        assert (hash_words(batch).hashes == single).all()
        assert (hash_words([" ".join(batch)]).hashes == single).all()
    finally:
        shingles._powers.cache_clear()


def test_case_and_punctuation_do_not_count() -> None:
    left, right = hash_words(["Hello, WORLD! x_y"]), hash_words(["hello world x y"])
    assert (left.hashes == right.hashes).all()
    assert plain("Hello, WORLD! x_y") == "hello world x y"
