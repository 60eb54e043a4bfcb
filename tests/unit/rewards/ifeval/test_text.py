"""Counting sentences, words and words in capitals, on texts counted by hand.

Sentences follow Punkt: the full stop ends one before white space, whatever follows, unless it
belongs to an abbreviation, an initial, an ellipsis, or a number before a small letter.
"""

from __future__ import annotations

import re

import pytest

from rewards.ifeval.checks import holds, nth_paragraph_first_word
from rewards.ifeval.text import count_capital_words, count_sentences, count_words, split_outer


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("no stop at all", 1),
        ("One. Two! Three?", 3),
        ("one. two. three.", 3),
        ("Really?! Yes...", 2),
        ('He said "Go." She went.', 2),
        ("(One.) Two.", 2),
        ("**One.** Two.", 2),
        ("“One.” Two.", 2),
        ("A title\n\nOne. Two.", 2),
        ("example.com and file.txt are names.", 1),
        ("It costs 3.50 or 4.", 1),
        ("Mr. Smith met Dr. No in St. Louis.", 1),
        ("J. R. Smith came. He left.", 2),
        ("That was I. He left.", 2),
        ("Cats, e.g. lions, i.e. big ones. Dogs.", 2),
        ("Pears, figs, etc. are sold. Plums, etc. They too.", 3),
        ("At 5 p.m. we met. At 6 p.m. We left.", 3),
        ("I say no. He left. See no. 5 and p. 7.", 3),
        ("On Jan. 5 it rained. In Jan. It snowed.", 3),
        ("Well... maybe. Well... Maybe.", 3),
        ("1. First\n2. Second", 3),  # as Punkt has it: a list's number ends one
        ("It was 1990. then came 1991. Then 1992.", 2),
        ("今天很好。明天也好！", 2),  # noqa: RUF001
        ("यह अच्छा है। वह भी।", 2),
        ("Is it؟ Yes.", 2),
        ("One.   \n\n", 1),
    ],
)
def test_sentences(text: str, count: int) -> None:
    assert count_sentences(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("one two", 2),
        ("don't", 2),
        ("well-known a_b 3.5", 5),
        ("नमस्ते दुनिया", 2),
        ("é e\u0301", 2),
    ],
)
def test_words(text: str, count: int) -> None:
    assert count_words(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("NASA and Nasa", 1),
        ("I AM A MAN.", 4),
        ("COVID-19, U.S. and A+", 3),
        ("I'M HERE", 3),
        ("THE DOG'S TAIL", 4),
        ("*STOP* [NOW] (GO)", 3),
        ("ONE--TWO...THREE", 3),
        ("123 4TH", 1),
    ],
)
def test_capital_words(text: str, count: int) -> None:
    assert count_capital_words(text) == count


def test_parts_between_dividers() -> None:
    bar = re.compile(r"\|")
    assert split_outer("a|b", bar) == ["a", "b"]
    assert split_outer("|a|b|", bar) == ["a", "b"]
    assert split_outer("a||b", bar) is None
    assert split_outer("||a", bar) is None
    assert split_outer("a", bar) == ["a"]


@pytest.mark.parametrize(
    ("relation", "wanted", "passing"),
    [
        ("at least", 10, {10, 11, 12}),
        ("less than", 10, {8, 9}),
        ("at most", 10, {8, 9, 10}),
        ("exactly", 10, {10}),
        ("around", 10, {9, 10, 11}),
        ("around", 100, set(range(90, 111))),
        ("around", 0, {0, 1}),
    ],
)
def test_relations(relation: str, wanted: int, passing: set[int]) -> None:
    span = range(max(min(passing) - 5, 0), max(passing) + 6)
    holding = {count for count in span if holds(count, relation, wanted)}
    near = {count for count in holding if min(passing) <= count <= max(passing)}
    assert near == passing
    if relation in {"exactly", "around"}:
        assert holding == passing


def test_the_nth_paragraph_is_counted_as_it_stands() -> None:
    """An empty piece between is no paragraph, and none begins with a word."""
    assert nth_paragraph_first_word("a\n\n\n\nb", 2, 1, "a")
    assert not nth_paragraph_first_word("a\n\n\n\nb", 2, 2, "b")
