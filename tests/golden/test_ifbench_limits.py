"""What IFBench's checkers bear: any text, and 100 kB of the worst, within a second each.

1. No text makes any of them raise, and each says yes or no.
2. Nothing a response may hold takes long: openers without an end, words and lines by the thousand.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.ifeval.ifbench import KINDS
from rewards.ifeval.instructions import instruction

ANY: dict[str, Any] = {
    **dict.fromkeys(("N", "small_n", "m", "n", "min_words", "n_start"), 1),
    **{"max_words": 3, "n_end": 2, "percentage": 50, "sep": "-", "options": "a/b"},
    **dict.fromkeys(("keyword", "word", *(f"keyword{n}" for n in range(1, 6))), "a"),
    **dict.fromkeys(("reference_text", "prompt_to_repeat"), "a b c d"),
}
READY = [
    instruction(id, {name: ANY[name] for name in readers}) for id, (_, readers) in KINDS.items()
]
HOSTILE = [
    *(". " * 50_000, "a" + "." * 100_000 + "a", "A b? 😀 " * 14_000, "* a\n" * 25_000),
    *("<i " * 33_000, "<h1>" + "</h1> " * 16_000 + "x", "*" + " " * 100_000, "\n" * 100_000 + "x"),
    *("({[" * 33_000, " '\"a" * 25_000, ',"' * 50_000, "a\u0301" * 50_000),
]
SIGNS = "aB1é猫😀\ufe0f\u200d.?!,;:'\"”()[]{}<>/*-_#|`\n\t \u0301\0"


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:4]))
def test_no_response_of_100_kb_holds_a_checker_up(text: str) -> None:
    for one in READY:
        one.followed("warm")
        begun = time.process_time()
        one.followed(text)
        assert time.process_time() - begun < 1.0, one.id


@given(st.text(st.sampled_from(SIGNS)) | st.text())
@settings(max_examples=40)
def test_no_text_makes_a_checker_raise(text: str) -> None:
    assert {type(one.followed(text)) for one in READY} == {bool}
