r"""Find the final answer in a response, by an anchor that the response itself set.

In: model text of any length. Out: the text after the anchor and which anchor it was, or the reason
why there is none. Anchors: `\boxed{…}` with balanced braces, `#### …`, `answer is …` and
`Answer: …`, `<answer>…</answer>`. Boxes that stand side by side (`\boxed{1} and \boxed{2}`) are one
answer, a list. Runs in time linear in the text. `guess_last` alone guesses, and says so. Whether
the answer is right is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, get_args

Anchor = Literal["boxed", "hashes", "answer_is", "answer_tag", "none"]
Several = Literal["last", "first", "agree"]
SEVERAL: Final[tuple[str, ...]] = get_args(Several)

# A final answer stands near the end: what lies before costs time and is not read.
TAIL_CHARS: Final = 20_000
MAX_ANCHORS: Final = 200  # of a kind, from the end
DAPO_CHARS: Final = 300  # DAPO's convention reads no more than this

_BOXED = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|(?=[\w\\-]))")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"[^\s$.,;{}\\]+|\\[A-Za-z]+(?:\{[^{}]*\})*")
_HASHES = re.compile(r"####[ \t]*([^\n#]*)")
_ANSWER_IS = re.compile(
    r"\b(?:answer|correct[ \t]+(?:option|choice))\b"
    r"(?:[ \t]*\*{0,2}[ \t]*(?:is\b|[:=])|(?:[ \t]+\w[\w'-]*){1,8}?[ \t]+is\b"
    r"|[ \t]*\*{0,2}[ \t]*(?=\n))"
    r"[ \t]*:?[ \t*_]*(?:\n[ \t]*){0,2}(?=([^\n]{0,400}))",
    re.IGNORECASE,
)
_DAPO = re.compile(r"answer\s*:\s*([^\n]+)", re.IGNORECASE)
_ANSWER_TAG = re.compile(r"<answer>([^<]*(?:<(?!/?answer>)[^<]*)*)</answer>", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<!\ba)(?<!\bp)(?<!\.m)\.[*$]*(?=\s|$)")
_JOIN = re.compile(
    r"(?:\\[()\[\],;! ]|\\q?quad|\\text\s*\{\s*(?:and|or|,)\s*\}|\band\b|\bor\b"
    r"|[a-zA-Z]\s*=|[\s$,;])*"
)
# What takes an answer back, when it directly follows and another number comes with it.
_RETRACTED = re.compile(
    r"[\s$.,;:!?)}\]*…-]*(?:\\[)\]][\s.,;]*)?"
    r"(?:(?:no|oh|hmm+|or|but|sorry)\b[\s,.…-]*)*"
    r"(?:wait|no\b|or|maybe|perhaps|possibly|actually|correction|scratch that|rather|i mean|"
    r"alternatively|otherwise|not sure|hmm+|could (?:also )?be|it (?:might|may|could) be)\b"
    r"[^\n]{0,100}?(?<![\w.])(-?\d[\d.,]*|\\[a-z]*frac)",
    re.IGNORECASE,
)
_MATHEMATICAL = re.compile(r"[\d\\$^=]|^[(\[{]?[A-Za-z][)\]}]?$")
_GUESS = re.compile(
    r"(?<!\\)\$([^$\n]{1,200})(?<!\\)\$|\\\((.{1,200}?)\\\)"
    r"|(?<![\w.])(-?\\?\$?\d[\d,]*(?:\.\d+)?(?:/\d+)?\s?\\?%?)"
)


class Extraction(NamedTuple):
    """One anchored answer.

    Attributes:
        text: the answer as written, stripped of outer white space; may be empty.
        anchor: which anchor introduced it; `none` for a guess.
        start: offset of the anchor in the tail that was read.
        retracted: whether the text goes on to take it back (`5. No wait, 6`).
    """

    text: str
    anchor: Anchor
    start: int
    retracted: bool = False


def _balanced(text: str, start: int) -> int:
    """Where the brace stands that closes the one before `start`; -1 if none does."""
    depth = 1
    for match in _BRACE.finditer(text, start):
        char = match[0]
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return match.start()
    return -1


def _retracted(tail: str, end: int, answer: str) -> bool:
    """Whether what follows `end` offers another number instead."""
    match = _RETRACTED.match(tail, end, end + 200)
    return match is not None and match[1].strip(".,") not in answer


def _boxes(tail: str) -> list[Extraction]:
    found: list[Extraction] = []
    end = -1  # of the box before
    for match in _BOXED.finditer(tail):
        if match.start() < end:
            continue  # nested in a box that was already read
        start = match.end()
        if match[0].endswith("{"):
            close = _balanced(tail, start)
            if close < 0:  # cut off: the answer that it was to replace does not count either
                found.append(Extraction("", "boxed", match.start()))
                return found
            inner, after = tail[start:close].strip(), close + 1
        else:
            bare = _BARE_BOX.match(tail, start)
            inner, after = (bare[0], bare.end()) if bare else ("", start)
        near = found and match.start() - end < 40
        if near and _JOIN.fullmatch(tail, end, match.start()):
            before = found.pop()
            inner = inner if before.text == inner else f"{before.text}, {inner}"
            found.append(Extraction(inner, "boxed", before.start))
        else:
            found.append(Extraction(inner, "boxed", match.start()))
        end = after
    if found and _retracted(tail, end, found[-1].text):
        last = found.pop()
        found.append(Extraction(last.text, "boxed", last.start, True))
    return found


def _answer_is(tail: str, lower: str) -> Iterator[re.Match[str]]:
    """The matches of `_ANSWER_IS`: a search that ignores case costs ten times one for the word."""
    if len(lower) != len(tail):  # some letters grow when they are lowered
        yield from _ANSWER_IS.finditer(tail)
        return
    for word in ("answer", "correct"):
        at = lower.find(word)
        while at >= 0:
            match = _ANSWER_IS.match(tail, at)
            if match is not None:
                yield match
            at = lower.find(word, at + 1)


def _sentence(line: str) -> tuple[str, int]:
    """The first sentence of a line without its full stop, and where it ends."""
    match = _SENTENCE_END.search(line)
    if match is None:
        return line.strip(), len(line)
    return line[: match.start()].strip(), match.start()


def find_all(response: str) -> list[Extraction]:
    r"""All anchored answers in the response's tail, in the order in which they stand.

    An anchor within another's text (`#### \boxed{42}`) starts later and so comes later.
    """
    tail = response[-TAIL_CHARS:]
    found: list[Extraction] = _boxes(tail) if "boxed" in tail or "\\fbox" in tail else []
    if "####" in tail:
        for match in _HASHES.finditer(tail):
            found.append(Extraction(match[1].strip(), "hashes", match.start()))
    lower = tail.lower()
    for match in _answer_is(tail, lower):
        sentence, end = _sentence(match[1])
        taken_back = _retracted(tail, match.start(1) + end, sentence)
        found.append(Extraction(sentence, "answer_is", match.start(), taken_back))
    if "</answer>" in lower:
        for match in _ANSWER_TAG.finditer(tail):
            found.append(Extraction(match[1].strip(), "answer_tag", match.start()))
    if len(found) > 1:
        found.sort(key=lambda item: item.start)
        found = [item for item in found if not _is_remark(item)] or found
    return found[-MAX_ANCHORS:]


def _is_remark(item: Extraction) -> bool:
    """`so our answer is correct`: words alone, where other anchors hold an answer."""
    return item.anchor == "answer_is" and _MATHEMATICAL.search(item.text) is None


def find_dapo(response: str) -> list[Extraction]:
    """DAPO's convention: `Answer: …`, up to the end of its line, in the last 300 characters."""
    tail = response[-DAPO_CHARS:]
    return [Extraction(m[1].strip(), "answer_is", m.start()) for m in _DAPO.finditer(tail)]


def guess_last(response: str) -> Extraction | None:
    """The last formula or number of a text without an anchor: for the flexible score only."""
    tail = response[-1000:]
    last = None
    for match in _GUESS.finditer(tail):
        last = match
    if last is None:
        return None
    return Extraction((last[1] or last[2] or last[3]).strip(" .,"), "none", last.start())
