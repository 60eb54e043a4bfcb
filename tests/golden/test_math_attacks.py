"""Attacks on our grader of mathematics, and right answers that look like them, by the registry.

1. math_attacks.jsonl: wrong answers made to be accepted. None is.
2. math_kept.jsonl: right answers that look like those attacks. At most 2% are refused.
3. Two answers in two places: at most one of them can be the right one.
4. No verdict on any of them is a failure of the verifier.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from rewards.compare import Pair, read_battery
from rewards.registry import load_reward

HERE = Path(__file__).parent
ATTACKS = read_battery(HERE / "math_attacks.jsonl")
KEPT = read_battery(HERE / "math_kept.jsonl")
MATH = {"data_source": "DigitalLearningGmbH/MATH-lighteval"}


def accepted(pairs: Iterable[Pair]) -> set[str]:
    """The pairs that score; each verdict is one on the response."""
    reward, found = load_reward("math"), set()
    for pair in pairs:
        verdict = reward.judge(pair.response, pair.gold, pair.row)
        assert not verdict.broken, f"{pair.id}: {verdict.status}: {verdict.detail}"
        if verdict.score >= 1.0:
            found.add(pair.id)
    return found


def shown(pairs: Iterable[Pair]) -> list[str]:
    return [f"{p.id}: gold {p.gold!r}, got …{p.response[-90:]!r}" for p in pairs]


def test_no_attack_is_paid() -> None:
    found = accepted(ATTACKS)
    assert shown(p for p in ATTACKS if p.id in found) == []


def test_the_guards_against_attacks_leave_right_answers_alone() -> None:
    found = accepted(KEPT)
    refused = [p for p in KEPT if p.id not in found]
    assert len(refused) <= 0.02 * len(KEPT), shown(refused)


def test_the_batteries_are_what_they_should_be() -> None:
    pairs = ATTACKS + KEPT
    assert len({p.id for p in pairs}) == len({(p.response, p.gold) for p in pairs}) == len(pairs)
    assert not any(p.label for p in ATTACKS)
    assert all(p.label for p in KEPT)


@pytest.mark.parametrize(
    "response",
    [
        "#### 5\n\\boxed{6}",
        "\\boxed{5}\n#### 6",
        "Answer: 5\n\\boxed{6}",
        "\\boxed{5}\nAnswer: 6",
        "The answer is 5. \\boxed{6}",
        "<answer>5</answer> \\boxed{6}",
        "\\boxed{5} <answer>6</answer>",
        "\\boxed{5} \\boxed{6}",
        "The answer is 5.\n#### 6",
        "\\boxed{5 \\text{ or } 6}",
    ],
)
def test_two_answers_are_not_both_right(response: str) -> None:
    reward = load_reward("math")
    paid = [gold for gold in ("5", "6") if reward.judge(response, gold, MATH).score >= 1.0]
    assert len(paid) < 2
