"""Shaping formulas and the rewards over them, on values worked by hand from the papers.

1. Soft overlong: DAPO's three pieces, and clamped past the last.
2. Cosine: its values at 0, half and the whole length, monotone between, and never rising again.
3. Repetition: the share of repeated n-grams; nothing below n words.
4. No count of tokens, no verdict: characters never stand in.
5. Cosine and its inner reward: `acc` is unshaped, a broken inner verdict stays broken.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.errors import RewardError
from rewards.lengths import grade_cosine, grade_soft_overlong
from rewards.registry import load_reward
from rewards.repetition import grade_repetition
from rewards.shaping import cosine, repetition, soft_overlong

LENGTHS = {"response_tokens": 50, "max_response_tokens": 100}


@pytest.mark.parametrize(
    ("tokens", "value"),
    [
        *((0, 0.0), (80, 0.0), (81, -0.05), (90, -0.5), (99, -0.95)),
        *((100, -1.0), (101, -1.0), (10**9, -1.0)),
    ],
)
def test_soft_overlong(tokens: int, value: float) -> None:
    assert soft_overlong(tokens, 100, 20) == pytest.approx(value, abs=1e-12)


def test_soft_overlong_with_dapos_own_lengths() -> None:
    """20480 tokens, of which 4096 are the cache: 18432 lies in the middle of it."""
    assert soft_overlong(16384, 20480, 4096) == 0.0
    assert soft_overlong(18432, 20480, 4096) == -0.5


@pytest.mark.parametrize(("tokens", "most", "cache"), [(-1, 10, 5), (1, 10, 0), (1, 10, 11)])
def test_soft_overlong_refuses(tokens: int, most: int, cache: int) -> None:
    with pytest.raises(ValueError, match="cache_tokens"):
        soft_overlong(tokens, most, cache)


@pytest.mark.parametrize(
    ("tokens", "value"),
    [(0, 2.0), (25, 1.5 + 0.5 * math.sqrt(0.5)), (50, 1.5), (100, 1.0), (150, 1.0), (10**9, 1.0)],
)
def test_cosine(tokens: int, value: float) -> None:
    assert cosine(tokens, 100, at_zero=2.0, at_max=1.0) == pytest.approx(value)


@given(st.integers(0, 400), st.integers(0, 400), st.floats(-5, 5), st.floats(-5, 5))
def test_cosine_is_monotone_and_stays_between_its_values(
    a: int, b: int, first: float, last: float
) -> None:
    short, long = (cosine(n, 200, at_zero=first, at_max=last) for n in sorted((a, b)))
    low, high = min(first, last) - 1e-9, max(first, last) + 1e-9
    assert low <= short <= high and low <= long <= high
    assert (long - short) * (last - first) >= -1e-9


@given(st.integers(0, 300), st.integers(1, 200), st.integers(1, 200))
def test_soft_overlong_never_rises_and_stays_within_its_bounds(t: int, most: int, c: int) -> None:
    cache = min(c, most)
    now, later = soft_overlong(t, most, cache), soft_overlong(t + 1, most, cache)
    assert -1.0 <= later <= now <= 0.0


@pytest.mark.parametrize(
    ("text", "n", "value"),
    [
        ("a b c d", 2, 0.0),
        ("a b a b", 2, -1 / 3),  # ab ba ab: 2 of 3 distinct
        ("a a a a a", 2, -0.75),
        ("a a a a a", 1, -0.8),
        ("a a", 3, 0.0),
        ("", 1, 0.0),
    ],
)
def test_repetition(text: str, n: int, value: float) -> None:
    assert repetition(text.split(), n, -1.0) == pytest.approx(value)
    assert repetition(text.split(), n, -0.5) == pytest.approx(value / 2)
    verdict = grade_repetition(text.upper(), None, n=n)
    assert verdict.score == pytest.approx(value)
    assert verdict.acc == float(value == 0.0)


def test_repetition_by_character_and_its_options() -> None:
    assert grade_repetition("哈哈哈哈", None, n=2).score == 0.0  # one word
    assert grade_repetition("哈哈 哈哈", None, n=2, unit="character").score == pytest.approx(-2 / 3)
    for bad in ({"n": 0}, {"penalty": 0.5}, {"unit": "byte"}):
        assert load_reward("repetition", bad).judge("a a a", None).status == "verifier_error"


def test_soft_overlong_reads_the_rows_counts() -> None:
    reward = load_reward("soft_overlong", {"cache_tokens": 20})
    row = {"response_tokens": 90, "max_response_tokens": 100}
    verdict = reward.judge("x" * 10_000, None, row)
    assert (verdict.score, verdict.acc) == (-0.5, 0.0)
    assert reward.judge("", None, LENGTHS).acc == 1.0
    half = grade_soft_overlong("", None, cache_tokens=20, max_tokens=60, factor=0.5, **LENGTHS)
    assert half.score == pytest.approx(-0.25)


@pytest.mark.parametrize("missing", ["response_tokens", "max_response_tokens"])
@pytest.mark.parametrize(
    ("name", "options"), [("soft_overlong", {"cache_tokens": 5}), ("cosine", {})]
)
def test_without_counts_there_is_no_verdict(name: str, options: dict, missing: str) -> None:
    row = {key: value for key, value in LENGTHS.items() if key != missing}
    verdict = load_reward(name, options).judge("#### 4", "4", row)
    assert verdict.status == "verifier_error"
    assert missing in verdict.detail and "verl_manager" in verdict.detail


@pytest.mark.parametrize("count", [-1, 1.5, "50", True])
def test_a_count_that_is_none_is_refused(count: object) -> None:
    with pytest.raises(RewardError, match="count of tokens"):
        grade_soft_overlong("", None, cache_tokens=5, response_tokens=count, max_tokens=9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("response", "tokens", "cut", "score", "acc"),
    [
        ("#### 4", 0, False, 1.0, 1.0),
        ("#### 4", 50, False, 0.75, 1.0),
        ("#### 4", 100, False, 0.5, 1.0),
        ("#### 5", 0, False, -1.0, 0.0),
        ("#### 5", 100, False, -0.5, 0.0),
        ("#### 4", 100, True, -1.0, 1.0),
        ("#### 5", 100, True, -1.0, 0.0),
        ("#### 4", 100, None, -1.0, 1.0),  # nobody says that it ended by itself
        ("#### 4", 99, None, 0.5001, 1.0),
        ("#### 4", 101, False, -1.0, 1.0),
    ],
)
def test_cosine_reward(
    response: str, tokens: int, cut: bool | None, score: float, acc: float
) -> None:
    row = {"response_tokens": tokens, "max_response_tokens": 100, "truncated": cut}
    verdict = load_reward("cosine").judge(response, "4", row)
    assert verdict.score == pytest.approx(score, abs=2e-4)
    assert verdict.acc == acc
    assert verdict.components["cosine"] == verdict.score


def test_cosine_punishes_repetition_only_where_the_answer_is_wrong() -> None:
    options = {"repetition_penalty": -1.0, "repetition_n": 2}
    loop = "again and again and again and again "
    wrong = grade_cosine(loop + "#### 5", "4", **options, **LENGTHS)
    right = grade_cosine(loop + "#### 4", "4", **options, **LENGTHS)
    assert right.components["repetition"] == 0.0 and right.score == 0.75
    assert wrong.components["repetition"] < -0.3
    assert wrong.score == pytest.approx(-0.75 + wrong.components["repetition"])


def test_cosine_over_another_reward_and_its_broken_verdict() -> None:
    reward = load_reward("cosine", {"reward": "exact", "reward_options": {"ignore_case": False}})
    assert reward.judge("#### Paris", "Paris", LENGTHS).acc == 1.0
    assert reward.judge("#### paris", "Paris", LENGTHS).acc == 0.0
    assert reward.judge("#### paris", "", LENGTHS).status == "gold_error"
    lost = load_reward("cosine", {"reward": "no_such"}).judge("#### 4", "4", LENGTHS)
    assert lost.status == "verifier_error" and "no_such" in lost.detail
