r"""What stands around an answer and unmakes it: denials, second thoughts, the rest of a formula.

In: a text and where an answer stands in it. Out: whether the answer is denied (`not \boxed{6}`),
taken back (`5. No wait, 6`), a part of something larger (`-\boxed{6}`, `\boxed{6}^2`) or announced
as another answer than the final one (`the wrong answer is 6`). Reads a few dozen characters around
the answer. A policy that hedges must not be paid for it; a check that confirms does no harm.
"""

from __future__ import annotations

import re
from typing import Final

BEFORE: Final = 80  # characters that are looked at before an answer
BEHIND: Final = 250

# What takes an answer back, when it directly follows and another number comes with it; a
# rejection does so alone.
_WRONG: Final = r"(?:this|that|it)(?: is| was|['\u2019]s) (?:wrong|incorrect|not (?:right|correct))"
_DOUBT = re.compile(
    r"[\s$.,;:!?)}\]*…-]*(?:\\[)\]][\s.,;]*)?"
    r"(?:(?:no|oh|hmm+|or|but|sorry)\b[\s,.…-]*)*"
    r"(?:wait|no\b|or|edit|update|oops|i was wrong|maybe|perhaps|possibly|actually|correction"
    r"|scratch that|rather|i mean|alternatively|otherwise|not sure|hmm+|could (?:also )?be"
    r"|it (?:might|may|could) be"
    rf"|(?P<rejected>{_WRONG}))\b(?P<rest>[^\n]{{0,150}})",
    re.IGNORECASE,
)
# `wait, that is wrong.`, but not `that is wrong?`, nor `that is wrong only for x < 0`.
_REJECTED = re.compile(rf"(?:[\s,.…-]*(?:no|wait|sorry|i think))*[\s,.…-]*{_WRONG}", re.IGNORECASE)
_SAID = re.compile(r"\s*(?:[.,;!]|$)")
# An option's letter as the answer, and another one in its place: `No wait, it is (C).`
_OPTION = re.compile(r"(?:\\text\w*\s*\{)?[\s(\[*]*([A-Z])[\s)\]*}.:]*")
_OFFERED = re.compile(
    r"[\s,.…:-]*(?i:(?:it|that|this|the|correct|right|final|answer|option|choice|i|think|mean|guess"
    r"|believe|maybe|perhaps|possibly|rather|is|was|must|should|could|might|may|be|wait|no"
    r"|actually|sorry)\b(?:['\u2019]s)?[\s,.…:-]+)*[(\[*]*([A-Z])[)\]*]*\s*(?:[.,;!]|$)"
)
_FIGURE = re.compile(r"(?<![\w.])-?\d[\d.,]*|\\[a-z]*frac[^\s]*")
# The words that a denial needs: looked for first, since they are rare and a search is dear.
_DENIALS: Final = ("no", "n't", "ne", "≠", "except", "unlike", "wrong", "were", "supp", "ass")
_DENIALS_TOO: Final = ("imag", "rej", "disc", "minus")
_DENIED_BEFORE = re.compile(
    r"(?:\bnot|n't|\bnever|\bexcept|\bunlike|\bwrong(?: answer)?(?: is)?|\bwere|\\neq?|≠"
    r"|\breject|\bdiscard|\bnegative|\bminus)[\s:$(]*$"
    r"|\b(?:suppose|assume|imagine)\b[^.\n]*$"
)
_DENIED_BEHIND = re.compile(
    r"[\s$.)\]\\]*\b(?:is|was|would be|are|seems)\s+(?:not|wrong|incorrect|false|too"
    r"|rejected|invalid|impossible|ruled out)\b|[\s$]*\?\s*no\b",
    re.IGNORECASE,
)
_BOLD = re.compile(r"(?:^|[\s:.,;(])(\*{1,3})$")  # not `2*`, `)**`
_PART_BEFORE = re.compile(
    r"(?:[-+/^*\d]|\d\.|\\(?:times|cdot|pm|mp|div|sqrt)\s*|(?<!\n)[=+*/]\s*-\s*)$"
)
_PART_BEHIND = re.compile(
    r"(?:\\,\s?\d|\{,\}\d|\^(?!\s*\{?\s*\\circ)|\d|\.\d|[/_]"
    r"|\s*\\(?:times|cdot|div|pm)(?![A-Za-z])|\s*[*/+]\s*[\d\\(]"
    r"|[\s$]*(?:hundred|thousand|million|billion|dozen)\b)",
    re.IGNORECASE,
)
_OTHERS: Final = ("wrong", "incorr", "previous", "earlier", "old", "init", "false", "were", "supp")
_OTHERS_TOO: Final = ("ass", "imag", "doubt", "no", "deny", "unlik", "n't", "or ")
_OTHER_ANSWER = re.compile(
    r"\b(?:doubt|no way|unlikely|deny|don't think|not (?:sure|true|think))\b[^.\n]*$"
    r"|(?:^|[.\n]\s*)or\s+(?:the\s+)?$"
    r"|\b(?:wrong|incorrect|previous|earlier|old|initial|false)\s+$|\bif\b[^.\n]*\bwere\b[^.\n]*$"
    r"|\b(?:suppose|assume|imagine)\b[^.\n]*$"
)


def taken_back(text: str, end: int, answer: str) -> bool:
    """Whether what follows `end` rejects the answer, or offers another number or option for it."""
    if end >= len(text):
        return False
    match = _DOUBT.match(text, end, end + BEHIND)
    if match is None:
        return False
    rest = match["rest"]
    option = _OPTION.fullmatch(answer)
    if option is not None:
        offered = _OFFERED.match(rest)
        others = [offered[1]] if offered else []
    else:
        others = [figure.strip(".,") for figure in _FIGURE.findall(rest)]
    if others:
        return others[-1] not in answer
    if match["rejected"]:
        return _SAID.match(rest) is not None
    rejected = _REJECTED.match(rest)
    return rejected is not None and _SAID.match(rest, rejected.end()) is not None


def _holds(window: str, words: tuple[str, ...], more: tuple[str, ...]) -> bool:
    return any(map(window.__contains__, words)) or any(map(window.__contains__, more))


def unmade(text: str, start: int, end: int) -> bool:
    """Whether the answer from `start` to `end` is denied, or a part of something larger."""
    before = text[max(0, start - BEFORE) : start].lower()
    bold = _BOLD.search(before, max(0, len(before) - 4))
    if bold is not None and text.startswith(bold[1], end):
        before, end = before[: bold.start(1)], end + len(bold[1])
    if _PART_BEFORE.search(before, max(0, len(before) - 12)) is not None:
        return True
    if _holds(before, _DENIALS, _DENIALS_TOO) and _DENIED_BEFORE.search(before) is not None:
        return True
    return (
        _DENIED_BEHIND.match(text, end, end + BEHIND) is not None
        or _PART_BEHIND.match(text, end, end + BEHIND) is not None
    )


def names_another(lowered: str, start: int) -> bool:
    """Whether the words before an anchor say that it is not the final answer that it names."""
    before = lowered[max(0, start - BEFORE) : start]
    return _holds(before, _OTHERS, _OTHERS_TOO) and _OTHER_ANSWER.search(before) is not None
