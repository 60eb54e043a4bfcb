"""The tiers: from two texts to a decision, the cheap tiers first.

In: the response's answer and the gold one, as texts. Out: a `Decision`. Numbers, then letters, then
structure and exact fingerprints, all in this process and all bounded; what they leave open goes to
a worker process that is killed at its deadline. Says whose fault a failure is: an answer that takes
too long where the gold answer alone does not is the response's (`timeout`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from rewards.math import units
from rewards.math.answers import Answer, choice_of, key, read
from rewards.math.compare import Rules, compare, weigh
from rewards.math.tidy import TEXT, tidy
from rewards.math.tokens import Unreadable
from rewards.math.units import NOT_UNITS
from rewards.math.values import TooBig
from rewards.numbers import Number, parse_number
from rewards.workers import Pool, Reply

MAX_GOLD: Final = 20_000  # a worked solution may stand there
MAX_ANSWER: Final = 1000
MAX_ALGEBRA: Final = 300  # longer does not go to computer algebra
Fault = Literal["", "timeout", "gold", "verifier"]

POOL: Final = Pool("rewards.math.symbolic:decide", size=3, memory_mb=1024, recycle=1000)
_LENIENT: Final = Rules(lenient=True)
_STRICT: Final = Rules(lenient=False)


class Decision(NamedTuple):
    """What was decided.

    Attributes:
        same: True or False; None when the response's answer cannot be read, or something broke.
        how: one line: the tier, or what broke.
        broken: whose fault it is when something broke.
    """

    same: bool | None
    how: str = ""
    broken: Fault = ""


_SAME_TEXT: Final = Decision(True, "text")
_OTHER_INTEGER: Final = Decision(False, "numbers")
_SAME_NUMBER: Final = Decision(True, "numbers")


def same_number(pred: Number, gold: Number, lenient: bool) -> bool:
    """Whether two numbers are the same: percent by its policy, contradicting units never."""
    value = pred.value
    if pred.unit and gold.unit and pred.unit != gold.unit:
        factor = units.ratio(pred.unit, gold.unit)
        if factor is None:
            return False
        value *= factor
    if pred.percent == gold.percent:
        return value == gold.value
    share, plain = (value, gold.value) if pred.percent else (gold.value, value)
    return share / 100 == plain or (lenient and share == plain)


@lru_cache(maxsize=4096)
def _number(text: str) -> Number | None:
    return parse_number(text)


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """One spelling for a number, so that votes on `pred` count; else the text, shortened."""
    number = _number(text)
    return str(number) if number is not None else key(text)[:80]


# In prose, what makes the one number of a sentence no answer.
_BLOCKED = re.compile(
    r"\b(?:not|less|more|greater|fewer|than|about|approximately|around|between|least|most|or|maybe|"
    r"perhaps|possibly|either|could|might|may|unknown|no|nor|never|if|roughly|nearly|almost|over|"
    r"under|except|but|of|minus|plus|negative|times|squared|cubed|dozen|half|double|twice|triple|"
    r"thrice|wrong|incorrect|false|anything|everything|other|without|times|multiplied|divided|by|"
    r"factorial|root|hundred|thousand|million|billion|from|to|through|until|above|below|up|isn't|"
    r"cannot|can't|doesn't|guess|think|probably|likely|power|base|percent|modulo|mod|inverse)\b",
    re.IGNORECASE,
)
_REASON = re.compile(r",?\s*(?:,|\()\s*(?:since|because|as|not)\b.*$", re.DOTALL)
_SAID = re.compile(
    r"^\\text\s*\{(?:(?:the|final|answer|value|total|result|sum)\s+)+(?:is|:)\s*\}", re.I
)
_NEGATED = re.compile(r"not\b[^,;]*[,;]\s*(?:but|(?:rather\s+)?it(?:'s| is))\s+", re.IGNORECASE)
_SPAN = re.compile(r"(?<!\\)\$+([^$]+)(?<!\\)\$+|\\\((.+?)\\\)|\\\[(.+?)\\\]")
_FIGURE = re.compile(
    r"(?<![\w.])-?\\?[$€£]?\s?\d[\d,]*(?:\.\d+)?(?:\s?\\?%)?(?![\w^_!]|\.+\S|\s*[-+*/^=]\s*[\w(])"
)
_SENTENCE = re.compile(r"[A-Za-z\d\s.,:;'$%()*-]*")  # no formula outside of the delimiters
_PROSE = re.compile(r"[A-Za-z]{2,}")


def focus(text: str) -> str:
    """The answer within a sentence that holds just one: `that she has $42$ apples left`.

    Returns the text itself, without a reason that follows, where that is not clear.
    """
    text = _REASON.sub("", _NEGATED.sub("", text, count=1))
    spans = [str(next(filter(None, match.groups()))) for match in _SPAN.finditer(text)]
    rest = _SPAN.sub(" ", text)
    if (
        _BLOCKED.search(rest)
        or NOT_UNITS & set(rest.lower().split()) - {"is", "of", "the"}
        or not _SENTENCE.fullmatch(rest)
    ):
        return text
    if len(spans) == 1 and not re.search(r"\d", rest):
        return spans[0]
    figures = _FIGURE.findall(rest)
    alone = len(figures) == 1 and len(re.findall(r"\d[\d,.]*", rest)) == 1
    if not spans and alone and _PROSE.search(rest):
        return str(figures[0])
    return text


def _read(text: str, group: bool = True) -> Answer | None:
    """An answer, in prose or not; None when it cannot be read."""
    try:
        return read(text, group=group)
    except Unreadable:
        inner = focus(_SAID.sub("", text, count=1))
    if inner == text:
        return None
    try:
        return read(inner, group=group)
    except Unreadable:
        return None


def readable(text: str) -> bool:
    """Whether a whole text is one answer in itself, and no words."""
    if not text or len(text) > 200:
        return False
    if _number(text) is not None:
        return True
    try:
        return read(text).kind != "text"
    except Unreadable:
        return False


def _structure(pred: str, gold: str, rules: Rules) -> bool | None:
    """Compare what the two say; None when that is left open.

    Raises:
        TooBig: the response's answer is not computed for its size.
    """
    right = _read(gold)
    left = _read(pred)
    if left is not None and right is None:
        weigh(left)
    if left is None or right is None:
        return None
    said = compare(left, right, rules)
    if said is False and "," in pred + gold and {"list"} & {left.kind, right.kind}:
        other_left, other_right = _read(pred, group=False), _read(gold, group=False)
        if other_left is not None and other_right is not None:
            return compare(other_left, other_right, rules)
    if said is False and left.kind == "text" and right.kind == "term":
        inner = focus(_SAID.sub("", pred, count=1))
        if inner != pred:
            figure = _read(inner)
            return said if figure is None else compare(figure, right, rules)
    return said


def _is_prose(text: str) -> bool:
    """Words that no computer algebra needs to see."""
    plain = TEXT.sub(" ", text)
    words = _PROSE.findall(re.sub(r"\\[A-Za-z]+", " ", plain))
    if len(words) > 2 or (words and not re.search(r"[\d\\^=+*/()]", plain)):
        return True
    return _BLOCKED.search(plain.replace("/", "")) is not None or not tidy(text).isascii()


def _ask(pred: str, gold: str, lenient: bool, timeout: float) -> Reply:
    """One comparison in a worker; a crash is tried a second time."""
    request = {"pred": pred, "gold": gold, "lenient": lenient}
    reply = POOL.call(request, timeout)
    return POOL.call(request, timeout) if reply.kind == "crash" else reply


class _Broken(Exception):
    """What broke; an exception, so that no cache keeps it."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.how)
        self.decision = decision


def _slow(pred: str, gold: str, lenient: bool, timeout: float) -> Decision:
    """The worker's decision; the cache above makes a group's equal answers cost one call."""
    reply = _ask(pred, gold, lenient, timeout)
    if reply.kind == "ok":
        return Decision(reply.value["same"], reply.value["how"])
    if reply.kind in ("timeout", "memory"):
        if reply.value is not None or _bounded_gold(gold):  # then the gold answer is not slow
            return Decision(None, f"{reply.kind}: {reply.detail}", "timeout")
        said = f"it does not verify against itself: {reply.detail}"
        raise _Broken(Decision(None, said, "gold"))
    raise _Broken(Decision(None, f"math worker: {reply.detail}", "verifier"))


def _bounded_gold(gold: str) -> bool:
    """Whether the gold answer against itself is decided here, and so in time."""
    try:
        return _structure(gold, gold, _LENIENT) is True
    except TooBig:
        return False


# Signs that computer algebra drops or confuses, so that only the letters can be compared.
_TEXT_ONLY = re.compile(
    r"\\(?:[lcdv]?dots[a-z]?|land|lor|wedge|vee|neg|lnot|angle|triangle|overline|parallel|perp|cong"
    r"|implies|Rightarrow|iff|gcd|to|mapsto|forall|exists)(?![A-Za-z])"
    r"|\\frac\s*\{\s*(?:d|\\partial)(?![A-Za-z]{2})"
)
# What is not read here and computer algebra may know.
_ALGEBRAIC = re.compile(
    r"\\(?:int|iint|oint|sum|prod|lim|begin|cases|pmod|bmod|mod|max|min|deg|det|dim|ker|Re|Im|arg"
    r"|partial|nabla|vec|hat|bar|mathbb|cap|setminus|subset|mid|operatorname|prime)(?![A-Za-z])"
    r"|\\frac\s*\{\s*(?:d|\\partial)"
)


def _unread(pred: str, gold: str) -> bool:
    """Whether one of the two cannot be read here."""
    return _read(pred) is None or _read(gold) is None


@lru_cache(maxsize=8192)
def _formulas(pred: str, gold: str, lenient: bool, timeout: float) -> Decision:
    """All tiers after the numbers."""
    if key(pred) == key(gold):
        return _SAME_TEXT
    if re.fullmatch(r"\\?[a-z]*\{?\(?[A-Z]\)?\}?", gold) and (letter := choice_of(pred)):
        return Decision(letter in gold.replace("\\text", ""), "choice")
    try:
        said = _structure(pred, gold, _LENIENT if lenient else _STRICT)
    except TooBig as error:
        if _bounded_gold(gold) or _ask(gold, gold, lenient, timeout).kind == "ok":
            return Decision(None, f"the answer holds {error}", "timeout")
        said = None
    if said is not None:
        return Decision(said, "structure")
    if _TEXT_ONLY.search(pred) and _TEXT_ONLY.search(gold):
        return Decision(False, "such signs are compared as text alone")
    if not _ALGEBRAIC.search(pred) and not _ALGEBRAIC.search(gold) and _unread(pred, gold):
        return Decision(False, "no mathematics that could be read")
    if len(pred) > MAX_ALGEBRA or len(gold) > MAX_ALGEBRA or _is_prose(pred):
        return Decision(False if _is_prose(pred) else None, "no mathematics that could be read")
    return _slow(pred, gold, lenient, timeout)


def decide(pred: str, gold: str, lenient: bool, timeout: float) -> Decision:
    """Whether the response's answer is the gold one.

    Args:
        pred: the response's answer.
        gold: the gold one, not empty.
        lenient: a percentage equals its figure as well as its value.
        timeout: seconds for a worker, from its dispatch.
    """
    if pred == gold:
        return _SAME_TEXT
    if len(pred) > MAX_ANSWER:
        return Decision(None, f"an answer of {len(pred)} characters")
    if "~~" in pred:
        return Decision(False, "struck out")
    named = "=" in gold and "=" in pred  # x = 4 is not y = 4
    left, right = (None, None) if named else (_number(pred), _number(gold))
    if left is not None and right is not None:
        return _SAME_NUMBER if same_number(left, right, lenient) else _OTHER_INTEGER
    try:
        return _formulas(pred, gold, lenient, timeout)
    except _Broken as broken:
        return broken.decision


__all__ = ["MAX_GOLD", "Decision", "canonical", "decide", "focus", "readable"]
