"""The `repetition` reward: a penalty on text that says the same n-grams again, in [penalty, 0].

In: a response; gold is not read. Out: a `Verdict`. The formula is
`shaping.repetition`: P · (1 − |distinct n-grams| / |n-grams|), 0 where words < n. A penalty to add
to a reward; says nothing on whether the answer is right.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

from rewards.shaping import repetition
from rewards.verdict import Verdict

Unit = Literal["word", "character"]
UNITS: Final[tuple[str, ...]] = get_args(Unit)


def grade_repetition(
    response: str, gold: Any, *, n: int = 3, penalty: float = -1.0, unit: Unit = "word"
) -> Verdict:
    """Judge one response.

    Args:
        response: the model's text.
        gold: not read.
        n: length of the n-grams.
        penalty: the bound that a text repeated without end approaches, ≤ 0.
        unit: `word`, between white space and in lower case; `character`, white space left out, for
            scripts that put none between words.

    Raises:
        ValueError: an option is out of range.
    """
    if unit not in UNITS:
        raise ValueError(f"unit={unit!r}, of {', '.join(UNITS)}")
    words = response.lower().split()
    score = repetition(words if unit == "word" else "".join(words), n, penalty)
    held = float(score == 0.0)
    return Verdict(score, held, "correct" if held else "wrong")
