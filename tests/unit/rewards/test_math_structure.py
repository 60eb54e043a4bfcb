r"""The parts of the math grader, by values known otherwise.

1. The modulus has the properties that the fingerprints rest on.
2. Equal terms have equal fingerprints, different ones different; what is not proved stays open.
3. What would be large is refused before it is computed.
4. Kinds of answers are told apart: order, brackets, bases, units.
5. An answer that its own text takes back is told from one that is checked, or set in bold.
"""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rewards.extract import find_all, guess_last, last_answer
from rewards.math.answers import read
from rewards.math.compare import Rules, compare
from rewards.math.tidy import tidy
from rewards.math.tokens import Unreadable
from rewards.math.units import ratio
from rewards.math.values import PRIME, SMALL_PRIMES, TooBig, fingerprint, modular_root


def is_prime(n: int) -> bool:
    """Miller-Rabin to the first 20 prime bases."""
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in SMALL_PRIMES[:20]:
        x = pow(base, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def test_the_modulus() -> None:
    assert PRIME.bit_length() == 126
    assert is_prime(PRIME)
    assert not is_prime(PRIME - 2)
    assert PRIME % 8 == 1
    for square in (PRIME - 1, *SMALL_PRIMES):  # i and the root of each small prime exist
        root = modular_root(square)
        assert root is not None and root * root % PRIME == square


def same(pred: str, gold: str) -> bool | None:
    return compare(read(pred), read(gold), Rules())


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\sqrt{8}", r"2\sqrt{2}"),
        (r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt{3}}{3}"),
        (r"(1+\sqrt{2})^2", r"3+2\sqrt{2}"),
        (r"\sqrt{6}", r"\sqrt{2}\cdot\sqrt{3}"),
        (r"(1+i)^4", "-4"),
        (r"x^3-1", "(x-1)(x^2+x+1)"),
        (r"\frac{x^2-y^2}{x-y}", "x+y"),
        (r"\sqrt[3]{54}", r"3\sqrt[3]{2}"),
        (r"2^{2005}\cdot 2", "2^{2006}"),
        (r"\binom{52}{5}", "2598960"),
        (r"|{-3}|", "3"),
        (r"\lfloor 7/2 \rfloor", "3"),
        (r"0.1\overline{6}", r"\frac{1}{6}"),
        (r"3\frac{1}{7}", r"\frac{22}{7}"),
        (
            r"\begin{pmatrix} 1 \\ \frac{2}{4} \end{pmatrix}",
            r"\begin{bmatrix} 1 \\ .5 \end{bmatrix}",
        ),
        ("x < 3", r"(-\infty, 3)"),
        (r"\pm\sqrt{2}", r"-\sqrt{2}, \sqrt{2}"),
        ("y = 2x + 1", "4x - 2y + 2 = 0"),
    ],
)
def test_equal(left: str, right: str) -> None:
    assert same(left, right) is True
    assert same(right, left) is True


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5}"),
        (r"3+2\sqrt{2}", r"3-2\sqrt{2}"),
        ("i", "-i"),
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
        ("2^{-99}", "2^{-98}"),
        ("3^{2023}", "3^{2023}+1"),
        ("0.333333333333", r"\frac{1}{3}"),
        (r"\pi", r"\frac{355}{113}"),
        ("x", "X"),
        ("101_2", "101"),
        ("101_2", "101_3"),
        ("(1,2)", r"\{1,2\}"),
        ("(1,2)", "[1,2]"),
        ("(1,2)", "(2,1)"),
        ("1,2", "1"),
        ("1,1,2", "1,2,2"),
        ("x = 4", "y = 4"),
        (r"\begin{pmatrix} 1 & 2 \end{pmatrix}", r"\begin{pmatrix} 2 & 1 \end{pmatrix}"),
    ],
)
def test_different(left: str, right: str) -> None:
    assert same(left, right) is False
    assert same(right, left) is False


def test_what_is_not_proved_is_left_open() -> None:
    assert same(r"\sin^2 x + \cos^2 x", "1") is None
    assert same(r"\sin x", r"\cos x") is False  # floats are far apart
    assert compare(read(r"\sin x"), read("1"), Rules(near=lambda a, b: True)) is False


@pytest.mark.parametrize(
    "text",
    ["(10^9)!", "9^{9^{9^9}}", "2^{2^{2^{2^{2^2}}}}", r"x^{1/1000003}", r"\sin(10^{10^{10}})"],
)
def test_large_things_are_refused(text: str) -> None:
    with pytest.raises(TooBig):
        fingerprint(read(text).term)


@pytest.mark.parametrize(
    "text", ["", "1 2", "2(", "{1", "-", "^2", r"\frac{1}", "(1,000)", "€", "("]
)
def test_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


@given(st.fractions(), st.fractions())
def test_fingerprints_are_a_homomorphism(a: Fraction, b: Fraction) -> None:
    left, right = ("num", a), ("num", b)
    for form, value in (("add", a + b), ("mul", a * b)):
        assert fingerprint((form, left, right)).rational == value
        assert fingerprint((form, left, right)).residue == fingerprint(("num", value)).residue
    assert (fingerprint(left).residue == fingerprint(right).residue) is (a == b)


@given(st.text(alphabet="0123456789xyi+-*/^(){}[],.=<>\\ sqrtfacpi_%$", max_size=40))
@example("{,}")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        answer = read(text)
    except Unreadable:
        return
    assert answer.kind == "term" or answer.items or answer.mark or answer.kind == "empty"


@pytest.mark.parametrize(
    ("pred", "gold", "factor"),
    [
        ("cm", "m", Fraction(1, 100)),
        ("hours", "minutes", 60),
        ("square feet", "ft^2", 1),
        ("miles per hour", "mph", 1),
        ("cents", "$", Fraction(1, 100)),
        ("apples", "pears", 1),
        ("cm", "kg", None),
        ("cm", "cm^2", None),
    ],
)
def test_units(pred: str, gold: str, factor: Fraction | None) -> None:
    assert ratio(pred, gold) == factor


def test_markup_is_taken_off() -> None:
    assert tidy(r"$\left( 1,\!000,\ \dfrac12 \right)$.") == r"( 1000, \frac12 )"
    assert tidy("**−5**") == "-5"


def test_anchors() -> None:
    text = r"Answer: 1, then \boxed{\frac{1}{2}} and <answer>3</answer>"
    assert [(item.anchor, item.text) for item in find_all(text)][-2:] == [
        ("boxed", r"\frac{1}{2}"),
        ("answer_tag", "3"),
    ]
    (both,) = find_all(r"\boxed{2} or \boxed{3}")
    assert both.text == "2, 3"
    assert len(find_all(r"\boxed{2} or \boxed{3}", join=False)) == 2
    assert find_all(r"\boxed{50}\%")[-1].text == r"50\%"
    guess = guess_last("so 3 + 4 makes 7 apples")
    assert guess is not None and guess.text == "7"


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 5. No wait, 6",
        "The answer is 5. No wait, that is wrong.",
        "#### 5\nThat's not right.",
        r"\boxed{5} is wrong",
        r"**not \boxed{5}**",
        r"2**\boxed{5}",
        r"2*\boxed{5}*",
        r"**-\boxed{5}**",
        "The answer is B. No wait, C.",
        r"\boxed{\text{B}}, or maybe (A)",
    ],
)
def test_an_answer_is_taken_back(text: str) -> None:
    answer = last_answer(text)
    assert answer.retracted and answer.problem.endswith("is taken back")


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 5. No wait, that is wrong? 2+3=5",
        "The answer is 5. Wait, that is wrong. Again: 2+3=5",
        "The answer is 5. That is wrong only for odd bases",
        r"**\boxed{5}**",
        r"So *\boxed{5}*.",
        "The answer is B. Wait, is it C? No.",
        "The answer is B. Actually, A and C are wrong.",
        "The answer is B. No, 12 is too small.",
    ],
)
def test_an_answer_stands(text: str) -> None:
    assert last_answer(text).problem == ""


def test_no_answer_and_a_bare_one() -> None:
    assert last_answer("Paris").problem.startswith("no \\boxed{}")
    assert last_answer(" Paris ", bare=True).text == "Paris"
    assert last_answer("####").problem == "the answer after hashes is empty or cut off"
