"""IFBench's constraints on brackets and quotation marks: how deep they nest, what follows them.

In: a response that is not empty. Out: whether the response follows the constraint, exactly as
written. Signs that open or close nothing (`a)`, an apostrophe) are passed over. One pass each, on a
stack of what is open.
"""

from __future__ import annotations

import re
from typing import Final

_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
_OPENERS: Final = frozenset(_PAIRS.values())
_DEEP: Final = 5
_QUOTES_DEEP: Final = 3
_DOUBLE: Final = '"“”„'
_SINGLE: Final = "'‘’‚"  # noqa: RUF001
_QUOTE = re.compile(rf"[{_DOUBLE}{_SINGLE}]")
_DOUBLE_QUOTE = re.compile(rf"[{_DOUBLE}]")


class _Nest:
    """What is open, and how deep the deepest closed group went."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.inner: list[int] = []  # of each open group: the depth closed within it
        self.deepest = 0

    def enter(self, kind: str) -> None:
        self.open.append(kind)
        self.inner.append(0)

    def leave(self) -> None:
        self.open.pop()
        depth = self.inner.pop() + 1
        self.deepest = max(self.deepest, depth)
        if self.inner:
            self.inner[-1] = max(self.inner[-1], depth)

    def drop(self) -> None:
        """Forget the innermost group, which was none."""
        self.open.pop()
        inner = self.inner.pop()
        if self.inner:
            self.inner[-1] = max(self.inner[-1], inner)


def parentheses(response: str) -> bool:
    """Closed brackets nest five deep or more; (, [ and { count alike.

    "(and [brackets {and braces}])" shows how they may nest; it does not ask for all three.
    """
    nest = _Nest()
    for sign in response:
        if sign in _OPENERS:
            nest.enter(sign)
        elif sign in _PAIRS and nest.open and nest.open[-1] == _PAIRS[sign]:
            nest.leave()
    return nest.deepest >= _DEEP


def _may_open(response: str, place: int) -> bool:
    """Not straight after a letter, digit or stop, and something follows."""
    before = response[place - 1] if place else " "
    after = response[place + 1] if place + 1 < len(response) else " "
    if after.isspace():
        return False
    return before.isspace() or before in "([{<*_-–—/:,=" or before in _DOUBLE + _SINGLE


def quotes(response: str) -> bool:
    """Closed quotes nest three deep or more, double and single in turn; either may be outermost.

    A mark closes the innermost open quote of its kind, unless a quote of the other kind has opened
    since and it may open one itself. Straight and curly marks are alike; one between two letters is
    an apostrophe.
    """
    nest = _Nest()
    for found in _QUOTE.finditer(response):
        place, kind = found.start(), '"' if found[0] in _DOUBLE else "'"
        around = response[max(place - 1, 0) : place] + response[place + 1 : place + 2]
        if kind == "'" and len(around) == 2 and all(map(str.isalnum, around)):
            continue
        if nest.open and nest.open[-1] == kind:
            nest.leave()
        elif _may_open(response, place):
            nest.enter(kind)
        elif len(nest.open) > 1:  # kinds take turns: the next outer one is of this kind
            nest.drop()
            nest.leave()
    return nest.deepest >= _QUOTES_DEEP


def quote_unquote(response: str) -> bool:
    """There are phrases in double quotes, and after each, before the next, words outside quotes.

    A response with a quote left open does not follow it. Whether the words explain is not judged.
    """
    parts = _DOUBLE_QUOTE.split(response)
    if len(parts) < 3 or len(parts) % 2 == 0:
        return False
    return all(any(map(str.isalpha, outside)) for outside in parts[2::2])
