"""Compositions: values worked by hand, gates, and texts that are no formula.

1. Sums, products, signs and parentheses mean what they mean in arithmetic.
2. A gate holds when its part is fully right, or as its comparison says.
3. `acc`, `pred` and status are the first part's; each part is a component; a broken one breaks all.
4. What is no formula is refused with the column; nothing is ever run.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.errors import RewardError
from rewards.compose import Composition, component, is_name, parse
from rewards.registry import load_correctness, load_reward
from rewards.verdict import Verdict, correct, gold_error, verifier_error, wrong


def value(text: str, **scores: float) -> float:
    """The formula's value when the parts score so."""
    verdicts = {name: Verdict(s, float(s >= 1.0), "correct") for name, s in scores.items()}
    return parse(text).value(verdicts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", 0.5),
        ("0.9*a + 0.1*b", 0.55),
        ("a - b", -0.5),
        ("a - b - b", -1.5),
        ("-a + b", 0.5),
        ("a*b*c", 1.0),
        ("2*(a + b)", 3.0),
        ("a + b*c", 2.5),
        ("(a + b)*c", 3.0),
        ("1e-1*a + .5*b", 0.55),
        ("a if b", 0.5),
        ("b if a", 0.0),
        ("b if a else 0.25", 0.25),
        ("b if not a", 1.0),
        ("b if a >= 0.5", 1.0),
        ("b if a > 0.5", 0.0),
        ("b if a < 0.6 and c == 2", 1.0),
        ("b if a < 0.6 and not c", 0.0),
        ("b if a >= -1", 1.0),
        ("(b if a) + c", 2.0),
        ("c - (b if a >= 0.5 else 5)", 1.0),
    ],
)
def test_values_worked_by_hand(text: str, expected: float) -> None:
    assert value(text, a=0.5, b=1.0, c=2.0) == pytest.approx(expected)


@given(
    st.lists(
        st.tuples(st.sampled_from("+-*"), st.floats(-9, 9).map(lambda x: round(x, 3))),
        min_size=1,
        max_size=12,
    )
)
def test_agrees_with_arithmetic(terms: list[tuple[str, float]]) -> None:
    text = "a" + "".join(f" {sign} ({number})" for sign, number in terms)
    total, product = 0.0, 2.5
    for sign, number in terms:
        if sign == "*":
            product *= number
        else:
            total += product
            product = number if sign == "+" else -number
    assert value(text, a=2.5) == pytest.approx(total + product, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a +", "column 4"),
        ("a b", "column 3"),
        ("(a", "closing parenthesis"),
        ("a)", "column 2"),
        ("a % b", "column 3: '%'"),
        ("a if", "the name of a reward"),
        ("a if 1", "the name of a reward"),
        ("a if b >=", "a number"),
        ("a if b else", "a number or the name"),
        ("if", "a number or the name"),
        ("2 + 3", "names no reward"),
        ("a + [b]", "'['"),
        ("__import__('os').system('x')", "column 11"),
        ("a.__class__ ** b", "column 14"),
        ("(" * 60 + "a" + ")" * 60, "levels deep"),
        ("-" * 60 + "a", "levels deep"),
        ("a" + "+a" * 600, "characters"),
        ("1e999*a", "a number"),
        ("x.py:f + y.py:f", "both be component 'f'"),
    ],
)
def test_what_is_no_formula(text: str, says: str) -> None:
    with pytest.raises(RewardError) as error:
        parse(text)
    assert says in str(error.value)


@given(st.text("ab01.+-*()<>= ifelsnotd'\"/:_", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        formula = parse(text)
    except RewardError:
        return
    assert formula.names
    verdicts = {name: correct("") for name in formula.names}
    assert math.isfinite(formula.value(verdicts))


def test_names() -> None:
    assert parse("'my dir/a b.py:f' + my-rewards/x.py:g - p.q:h").names == (
        "my dir/a b.py:f",
        "my-rewards/x.py:g",
        "p.q:h",
    )
    assert [component(n) for n in ("math", "a/b.py:score", "p.q:h-i")] == ["math", "score", "h_i"]
    assert is_name("recipes/x-y/reward.py:score") and not is_name("math + exact")


def test_the_verdict_of_a_composition() -> None:
    judges = {
        "a": lambda response, gold, row: Verdict(0.5, 1.0, "correct", "42", {"strict": 1.0}),
        "b": lambda response, gold, row: wrong("7", "not it"),
    }
    verdict = Composition(parse("0.5*b + a"), judges)("", "")
    assert (verdict.score, verdict.acc, verdict.status, verdict.pred) == (0.5, 0.0, "wrong", "7")
    assert verdict.components == {"b": 0.0, "a": 0.5, "a_strict": 1.0}
    assert verdict.detail == "b: not it"
    for broken in (gold_error("no gold"), verifier_error("down")):
        judges["b"] = lambda response, gold, row, broken=broken: broken
        verdict = Composition(parse("a + 0*b"), judges)("", "")
        assert verdict.broken and verdict.status == broken.status
        assert verdict.detail == f"b: {broken.detail}"


def test_options_by_part_and_fields_of_the_row(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def brief(response, gold, tokens, *, most=10):\n    return tokens <= most\n")
    options = {"math": {"several": "first"}, "short": {"use": f"{file}:brief", "most": 3}}
    reward = load_reward("0.9*math + 0.1*short if math", options)
    response = "#### 42\nNo, I was wrong.\n#### 43"
    assert reward.judge(response, "42", {"tokens": 3}).score == pytest.approx(1.0)
    assert reward.judge(response, "42", {"tokens": 4}).score == pytest.approx(0.9)
    assert reward.judge(response, "43", {"tokens": 1}).score == 0.0
    assert str(file) in reward.where


def test_what_is_right_is_what_the_first_part_says(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def brief(response, gold, tokens):\n    return tokens < 3\n")
    options = {"m": {"use": "math", "several": "first"}, "short": {"use": f"{file}:brief"}}
    first = load_correctness("0.9*m + 0.1*short", options)
    assert (
        first.judge("#### 42\nNo, I was wrong.\n#### 43", "42", {}).score == 1.0
    )  # nobody counts tokens here
    assert load_correctness("math", {"several": "first"}).spec == "math"
    with pytest.raises(RewardError, match="did you mean 'exact'"):
        load_correctness("math + exct")


@pytest.mark.parametrize(
    ("spec", "options", "says"),
    [
        ("0.9*mth + exact", {}, "did you mean 'math'?"),
        ("math + exact", {"several": "last"}, "no part of"),
        ("math + exact", {"mth": {}}, "did you mean 'math'?"),
        ("math + exact", {"math": 3}, "must be a mapping"),
        ("math + exact", {"math": {"severl": "last"}}, "did you mean 'several'?"),
        ("math + no/such.py:f", {}, "no/such.py"),
        ("math-exact", {}, "a minus with spaces"),
    ],
)
def test_what_does_not_load(spec: str, options: dict[str, object], says: str) -> None:
    with pytest.raises(RewardError) as error:
        load_reward(spec, options)
    assert says in str(error.value)


def test_a_file_may_have_a_sign_in_its_name(tmp_path: Path) -> None:
    file = tmp_path / "a+b (1).py"
    file.write_text("def f(response, gold):\n    return 1\n")
    assert load_reward(f"{file}:f").judge("", "").score == 1.0
