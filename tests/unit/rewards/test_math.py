r"""The math grader against answers judged by hand.

1. Ways to write 42 that peers reject are right; near misses are wrong, and where no answer was set
   unparseable, never right.
2. Of several answers the policy decides, and a shotgun of numbers in one answer is wrong.
3. A gold answer that is no text, or empty, is a gold_error without a score.
4. Hostile input is refused before it costs time.
5. Conventions choose the anchor of the strict score; the flexible one stands beside it.
"""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rewards.math.grade import grade_math
from rewards.numbers import parse_number

RIGHT_FOR_42 = [
    "#### 42",
    "#### 42.",
    "#### $42",
    "#### 42.0",
    "#### **42**",
    r"\boxed{42}",
    r"so $\boxed{42}$.",
    r"#### \boxed{42}",
    r"\boxed{\frac{84}{2}}",
    r"\boxed{\text{42 cm}}",
    "The answer is 42.",
    "**Answer: 42**",
    "The final answer is $42$. So she wins.",
    "<answer>42</answer>",
    "#### 42 apples",
    "#### 42 m^2",
    "#### 42km",
    "#### 42 apples left over",
    "**Answer:** 42",
    "Answer is **42**.",
    "#### x = 42",
    "#### 84/2",
    "#### 4.2e1",
    r"#### 4.2 \times 10^{1}",
    "#### 41 2/2",
    "#### 42\n" + "and that is why. " * 40,
    "#### 41\nNo, wait.\n#### 42",
    "#### 42\u00a0km",
]
WRONG_FOR_42 = [
    "#### 41",
    "#### -42",
    "#### 42 million",
    "#### 42 thousand dollars",
    "#### 4,242",
    "#### 0.42",
    "#### 42\n#### 43",
]
# A list of no items, each of which is any gold answer.
NOTHING = [
    "#### {,}",
    "#### {;}",
    r"\boxed{{,}}",
    r"\boxed{{ , ,; }}",
    r"\boxed{{\text{ and }}}",
    r"\boxed{(({,}))}",
    r"\boxed{\begin{pmatrix}\end{pmatrix}}",
    r"\boxed{\begin{pmatrix} \\ \end{pmatrix}}",
    r"\boxed{[{,}]}",
    r"\boxed{\{{,}\}}",
    r"\boxed{x \in {,}}",
    r"\boxed{x = {,}}",
]
NEAR_42 = [
    "#### 42 or 43",
    "#### 42, 43, 44",
    "#### 42 43",
    "#### 5. No wait, 42",
    "#### 42!",
    "#### 42_5",
    "#### 0,042",
    "#### 42:00",
    "#### (42,42)",
    r"#### 42\sqrt{2}",
    "#### 42 minus x",
    "#### 42 x 2",
    "#### 42e",
    "#### 42x",
    "#### 42k",
    "#### 42 M",
    "#### 42 n^2",
    "#### 42 hundred thousand",
    "#### 42 dozen",
    "#### 42 degrees below zero",
    "#### 42 out of 50",
    "The answer is not 42",
    r"#### 42\pi",
    "#### \u0664\u0662",
    "#### 42/0",
    "#### 42 is wrong",
    r"\boxed{42 \text{ or more}}",
    r"$-\boxed{42}$",
    r"$\boxed{42}^2$",
    r"It is not \boxed{42}.",
    r"So \boxed{42}. Wait, that is wrong: it should be 43.",
    "#### 40\n#### 41\n#### 42",
    r"\boxed{41} \boxed{42}",
]
UNPARSEABLE_FOR_42 = [
    "",
    "it is 42 for sure",
    "####",
    r"\boxed{}",
    r"\boxed{42",
    r"\boxed{42} and so on, therefore \boxed{",
    "<think>\\boxed{42}",
    "<think>\\boxed{42}</think> and so on",
]


@pytest.mark.parametrize("response", RIGHT_FOR_42)
def test_right(response: str) -> None:
    verdict = grade_math(response, "42")
    assert (verdict.status, verdict.score, verdict.acc) == ("correct", 1.0, 1.0)
    assert verdict.pred == "42"


@pytest.mark.parametrize("response", WRONG_FOR_42)
def test_wrong(response: str) -> None:
    verdict = grade_math(response, "42")
    assert (verdict.status, verdict.score, verdict.acc) == ("wrong", 0.0, 0.0)


@pytest.mark.parametrize("response", NEAR_42)
def test_near_is_not_right(response: str) -> None:
    assert grade_math(response, "42").acc == 0.0


@pytest.mark.parametrize(
    "gold", ["42", "x+1", "1, 2", "(1, 2)", "[0, 1)", r"\{1, 2\}", r"\emptyset", "x = 3", "even"]
)
@pytest.mark.parametrize("response", NOTHING)
def test_nothing_is_no_answer(response: str, gold: str) -> None:
    assert grade_math(response, gold).acc == 0.0


@pytest.mark.parametrize("response", UNPARSEABLE_FOR_42)
def test_unparseable(response: str) -> None:
    verdict = grade_math(response, "42")
    assert (verdict.status, verdict.score) == ("unparseable", 0.0)


@pytest.mark.parametrize(
    ("answer", "gold", "lenient", "strict"),
    [
        (r"50\%", "50", True, False),
        (r"50\%", "0.5", True, True),
        ("0.5", "50%", True, True),
        ("50", "50%", True, False),
        ("50 percent", "50%", True, True),
        ("0.5%", "50%", False, False),
        ("0.5%", "50", False, False),
        ("5000", "50%", False, False),
    ],
)
def test_percent_policy(answer: str, gold: str, lenient: bool, strict: bool) -> None:
    assert (grade_math(f"#### {answer}", gold).acc == 1.0) is lenient
    assert (grade_math(f"#### {answer}", gold, percent="strict").acc == 1.0) is strict


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("5/2", "2 1/2"),
        (r"2\frac{1}{2}", "2.5"),
        (r"1\,000", "1000"),
        ("1{,}000", "1,000"),
        ("1.5e5", "150000"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("−3", "-3"),
        (".5", r"\frac12"),
        ("3.50", "3.5"),
        ("2.5 million", "2,500,000"),
        ("$1,234.50", "1234.5"),
    ],
)
def test_equal_forms(answer: str, gold: str) -> None:
    assert grade_math(f"#### {answer}", gold).status == "correct"


@pytest.mark.parametrize(
    ("response", "right"),
    [
        (r"\boxed{\text{(B)}}", True),
        (r"\boxed{\textbf{(B)}\ -5}", True),
        ("The answer is B.", True),
        ("The answer is (B) 12 apples", True),
        (r"\boxed{\text{(B)}+1}", False),
        (r"\boxed{\text{(B) or (C)}}", False),
        (r"\boxed{(B), (C)}", False),
        (r"\boxed{(A) B}", False),
    ],
)
def test_choices(response: str, right: bool) -> None:
    assert (grade_math(response, "B").acc == 1.0) is right
    assert (grade_math(response, r"\text{(B)}").acc == 1.0) is right


def test_several_answers() -> None:
    response = r"\boxed{1} then \boxed{2}"
    assert grade_math(response, "2").status == "correct"
    assert grade_math(response, "1").status == "wrong"
    assert grade_math(response, "1", several="first").status == "correct"
    assert grade_math(response, "2", several="agree").status == "unparseable"
    assert grade_math(r"\boxed{2.0} so #### 2", "2", several="agree").status == "correct"


def test_the_last_anchor_counts_whichever_kind_it_is() -> None:
    assert grade_math("#### 42\nThe answer is 41.", "42").status == "wrong"
    assert grade_math("The answer is 41.\n#### 42", "42").status == "correct"


def test_an_answer_alone_needs_no_anchor_unless_told() -> None:
    assert grade_math("42", "42").status == "correct"
    assert grade_math("I think 42", "42").status == "unparseable"
    assert grade_math("42", "42", require_anchor=True).status == "unparseable"


@pytest.mark.parametrize(
    ("convention", "response", "strict", "flexible"),
    [
        ("gsm8k", "#### 42", 1, 1),
        ("gsm8k", r"\boxed{42}", 0, 1),
        ("gsm8k", "#### 42\nThe box says \\boxed{41}", 1, 0),
        ("math", r"\boxed{42}", 1, 1),
        ("math", "#### 42", 0, 1),
        ("dapo", "Answer: 42", 1, 1),
        ("dapo", "Answer: 42\n" + "and so it is. " * 30, 0, 1),
        ("dapo", r"\boxed{42}", 0, 1),
        ("any", "She has 42 apples.", 0, 1),
        ("any", "She has 41 apples.", 0, 0),
        ("any", "She has apples.", 0, 0),
    ],
)
def test_strict_and_flexible(convention: str, response: str, strict: int, flexible: int) -> None:
    verdict = grade_math(response, "42", convention=convention)  # type: ignore[arg-type]
    assert dict(verdict.components) == {"strict": strict, "flexible": flexible}
    assert verdict.score == strict
    other = grade_math(response, "42", convention=convention, score_by="flexible")  # type: ignore[arg-type]
    assert (other.score, dict(other.components)) == (flexible, dict(verdict.components))


def test_a_worked_solution_is_a_gold_answer() -> None:
    assert grade_math("#### 18", "She sells 9, so 9 * 2 = 18.\n#### 18").status == "correct"
    assert grade_math(r"\boxed{18}", r"Thus $x = \boxed{18}$.").status == "correct"


@pytest.mark.parametrize("gold", ["", "  ", "9" * 30_000, None, 42, "####", ["42"]])
def test_bad_gold_is_the_rows_fault(gold: object) -> None:
    verdict = grade_math("#### 42", gold)  # type: ignore[arg-type]
    assert verdict.status == "gold_error"
    assert math.isnan(verdict.score)


def test_options_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="several"):
        grade_math("#### 1", "1", several="newest")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "response",
    [
        r"\boxed{9^{9^{9^9}}}",
        "#### 1000000000!",
        r"\boxed{(10^9)!}",
        r"\boxed{2^{3^{4^{5^6}}}}",
        r"\boxed{\binom{10^9}{10^8}}",
        r"\boxed{(x+y+z)^{1000000}}",
        r"\boxed{\sqrt[1000000007]{3}}",
        "\\boxed{" + "\\frac{1}{" * 9000 + "2" + "}" * 9001,
        "\\boxed{" + "\\sqrt{" * 120 + "2" + "}" * 121,
        "\\boxed{" + "-" * 900 + "42}",
        "\\boxed{" + "x+" * 300 + "x}",
        "wait no " * 12_000,
        "answer: " * 12_000,
        "$" * 100_000,
        "**" * 50_000 + "Answer:" + "*" * 50_000,
        "#### 1e999999999999",
        r"\boxed{" * 20_000,
        "#### " * 20_000,
        "#### " + "9" * 100_000,
        "<answer>" * 12_000,
        "answer is " * 10_000,
        "#### " + "1," * 40_000,
        "#### " + " " * 100_000 + "x",
        "#### " + "a " * 99,
        "\\boxed{" + "{" * 50_000,
    ],
)
def test_hostile_input_is_bounded(response: str) -> None:
    start = time.process_time()
    assert grade_math(response, "42").acc == 0.0
    assert time.process_time() - start < 2.0  # at most 0.1 s; one that grows squared takes a minute


@given(st.integers(-(10**12), 10**12))
def test_integers_in_every_house_style(value: int) -> None:
    forms = [f"{value}", f"{value:,}", f"${value:,}", f"{value}.00", f"**{value}**.", f"{value} km"]
    for form in forms:
        assert grade_math(f"so\n#### {form}", str(value)).status == "correct", form
        assert grade_math(f"so\n#### {form}", str(value + 1)).status == "wrong", form


@given(st.fractions(min_value=-1000, max_value=1000, max_denominator=999))
def test_fractions_are_exact(value: object) -> None:
    number = parse_number(str(value))
    assert number is not None and number.value == value


@given(st.text(max_size=300))
@example("1000000000!")
def test_any_text_gets_a_verdict(text: str) -> None:
    verdicts = {"correct", "wrong", "unparseable", "timeout"}  # as for 1000000000!
    assert grade_math(text, "42").status in verdicts
    assert grade_math(f"#### {text}", "42").status in verdicts


@pytest.mark.parametrize(
    ("response", "gold", "right"),
    [
        ("#### 52+23", "75", False),
        (r"\boxed{52 + 23}", "75", False),
        ("The answer is 52+23.", "75", False),
        (r"\boxed{25 \cdot 3}", "75", False),
        (r"x = 80 - 5 \Rightarrow \boxed{x = 80 - 5}", "75", False),
        ("#### 52+23=75", "75", True),
        (r"\boxed{7.5 \times 10^{1}}", "75", True),
        (r"\boxed{3+\sqrt{2}}", r"\sqrt{2}+3", True),
        (r"\boxed{\frac{150}{2}}", "75", True),
        ("#### -75", "-75", True),
    ],
)
def test_a_sum_left_to_do_is_no_answer(response: str, gold: str, right: bool) -> None:
    """To copy the question of `arithmetic` would else be paid."""
    assert grade_math(response, gold).acc == float(right)
