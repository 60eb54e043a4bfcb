"""Equalities in working: read as written, exact, and silent where they cannot be sure."""

import pytest

from eval.failures.steps import links


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("She makes 9 * 2 = $18 every day", [True]),
        ("She makes 9 * 2 = $19 every day", [False]),
        ("3 red apples + 4 apples = 7 apples", [True]),
        ("10/3 = 3.33", [True]),
        ("10/3 = 3.34", [True]),  # rounded up
        ("10/3 = 3.35", [False]),
        ("7 / 2 = 3", [True]),  # whole people
        ("8 / 2 = 3", [False]),
        ("5 / 25 = 20%", [True]),
        (r"$120\%\cdot 30 = 36$", [True]),
        (r"\frac{6}{4} = 1.5", [True]),
        (r"\frac{6}{4} = 1.4", [False]),
        ("1,200 + 300 = 1,500", [True]),
        ("3 * 4 = 12 + 5 = 17", [True, True]),
        ("4 x 3 = 12, and 20 dollars/hour * 2 hours = 40 dollars", [True, True]),
        ("2x + 3 = 7", []),
        ("f(2) = 4", []),
        ("x^2 - 4 = 0", []),
        ("3 1/2 - 2 = 1", []),  # a mixed number: not read
        ("5 >= 3 + 1, a == 2 + 2", []),
        ("2 = 2", []),
        ("1/0 = 4", []),
    ],
)
def test_links(text, holds):
    assert [link.holds for link in links(text)] == holds


def test_real_working_is_rarely_called_false(planted):
    rows = planted.gsm8k()
    stated = [links(row["working"]) for row in rows]
    said = sum(bool(one) for one in stated)
    false = sum(not all(link.holds for link in one) for one in stated)
    assert said > 0.9 * len(rows)
    assert false < 0.01 * len(rows)


def test_a_hostile_text_is_quick():
    assert len(links("1+1=2\n" * 100_000)) == 200
    links("(" * 50_000 + "=")
