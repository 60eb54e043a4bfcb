"""The number that a text says: CSV holds nothing but text, and levels are written as `Level 3`.

In: a text. Out: its one number, None where it has no digit, a `ValueError` where it says more than
one or one that is not sure (`0,5`, `3/5`): a guess would be a weight of ten for a tenth.
"""

from __future__ import annotations

import math
import re
from typing import Final

_SAID: Final = re.compile(r"((?<!\w)[-+])?[.,]?[0-9][0-9.,]*([eE][-+]?[0-9]+)?")
_NUMBER: Final = re.compile(
    r"[-+]?([0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?|[0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"
)


def number_in(text: str) -> float | None:
    """`.5`, `5e-1`, `1,200`, `50%` (a half), and the 3 of `Level 3.`; None for `Level ?`.

    Raises:
        ValueError: the text says several numbers, one that can be read in two ways, or one too
            large for a float.
    """
    said = list(_SAID.finditer(text.replace("\u2212", "-")))
    if not said:
        return None
    word = said[0][0].rstrip(".,")
    if len(said) > 1 or not _NUMBER.fullmatch(word):
        raise ValueError(f"{text!r:.40} says no one number")
    value = float(word.replace(",", ""))
    if text.rstrip().endswith("%"):
        value *= 0.01
    if not math.isfinite(value):
        raise ValueError(f"{text!r:.40} is too large")
    return value
