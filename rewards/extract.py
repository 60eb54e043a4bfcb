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

from rewards.doubt import names_another, taken_back, unmade

Anchor = Literal["boxed", "hashes", "answer_is", "answer_tag", "none"]
Several = Literal["last", "first", "agree"]
SEVERAL: Final[tuple[str, ...]] = get_args(Several)

# A final answer stands near the end: what lies before costs time and is not read.
TAIL_CHARS: Final = 20_000
MAX_ANCHORS: Final = 200  # of a kind, from the end
MAX_SHOWN: Final = 80  # characters of model text kept in a verdict
NO_ANSWER: Final = "no \\boxed{}, ####, 'answer is' or <answer>"
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
    r"(?:\\[()\[\],;! ]|\\q?quad|\\text\s*\{\s*(?:and|or|,)\s*\}"
    r"|\b(?:and|or|alternatively|either|also|as well as|possibly|maybe|perhaps"
    r"|(?:first|second|third|another|other)\s+(?:possibility|option|answer|value)"
    r"|(?:guess|case|option|possibility|candidate|attempt|try|choice)\s*\d*)\b:?"
    r"|[a-zA-Z]\s*=|[\s$,;./&])*",
    re.IGNORECASE,
)
_ENUMERATED = re.compile(
    r"[\s.,;*$]*(?:(?:the|my|final|correct|or|and|also|alternatively,?|<answer>)\s*)*",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"\s*\\?%")
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
        end: offset behind the answer.
        retracted: whether the text denies it or takes it back (`5. No wait, 6`).
        problem: why it does not count; empty where it does.
    """

    text: str
    anchor: Anchor
    start: int
    end: int = 0
    retracted: bool = False

    @property
    def problem(self) -> str:
        """Why this is no answer to judge: none was set, it is empty, it is taken back; else ""."""
        if not self.text:
            missing = self.anchor == "none"
            return NO_ANSWER if missing else f"the answer after {self.anchor} is empty or cut off"
        return f"{self.text[:MAX_SHOWN]!r} is taken back" if self.retracted else ""


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


def _boxed(tail: str, start: int, inner: str, end: int) -> Extraction:
    """One box, with what stands around it taken into account."""
    percent = _PERCENT.match(tail, end)
    if percent is not None:
        inner, end = inner + "\\%", percent.end()
    doubted = unmade(tail, start, end) or taken_back(tail, end, inner)
    return Extraction(inner, "boxed", start, end, doubted)


def _boxes(tail: str, join: bool) -> list[Extraction]:
    spans: list[tuple[int, str, int]] = []
    end = -1  # of the box before
    for match in _BOXED.finditer(tail):
        if match.start() < end:
            continue  # nested in a box that was already read
        start = match.end()
        if match[0].endswith("{"):
            close = _balanced(tail, start)
            if close < 0:  # cut off: the answer that it was to replace does not count either
                spans.append((match.start(), "", len(tail)))
                break
            inner, after = tail[start:close].strip(), close + 1
        else:
            bare = _BARE_BOX.match(tail, start)
            inner, after = (bare[0], bare.end()) if bare else ("", start)
        near = join and spans and match.start() - end < 50
        if near and _JOIN.fullmatch(tail, end, match.start()):
            first, before, _ = spans.pop()
            spans.append((first, _listed(before, inner), after))
        else:
            spans.append((match.start(), inner, after))
        end = after
    found = [Extraction(inner, "boxed", start, end) for start, inner, end in spans[:-1]]
    return [*found, *(_boxed(tail, *span) for span in spans[-1:])]


def _listed(before: str, text: str) -> str:
    """Two answers side by side as one list; the same one twice as one."""
    return before if before == text or not text else f"{before}, {text}"


def _whole(tail: str, match: re.Match[str]) -> str:
    """The line behind an anchor, and the next one where a formula goes on over the line's end."""
    line = match[1]
    if "\\" in line and line.count("$") % 2:
        close = tail.find("$", match.end(1), match.end(1) + 100)
        if close >= 0:
            return tail[match.start(1) : close + 1]
    return line


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
    end = len(line) if match is None else match.start()
    text = line[:end].strip()
    if text.endswith(")") and text.count(")") > text.count("("):
        text = text[:-1]  # of a sentence in parentheses
    return text, end


def find_all(response: str, *, join: bool = True) -> list[Extraction]:
    r"""All anchored answers in the response's tail, in the order in which they stand.

    An anchor within another's text (`#### \boxed{42}`) starts later and so comes later.

    Args:
        response: the model's text.
        join: answers of one kind that stand side by side are one answer, a list.
    """
    tail = response[-TAIL_CHARS:]
    found: list[Extraction] = _boxes(tail, join) if "boxed" in tail or "\\fbox" in tail else []
    boxes = len(found)
    if "####" in tail:
        for match in _HASHES.finditer(tail):
            text = match[1].strip()
            end = match.end(1)
            found.append(_marked(tail, Extraction(text, "hashes", match.start(), end)))
    lower = tail.lower()
    for match in _answer_is(tail, lower):
        start = match.start()
        if boxes and any(box.start < start < box.end for box in found[:boxes]):
            continue  # words within a box
        if names_another(lower, start):
            continue
        sentence, length = _sentence(_whole(tail, match))
        end = match.start(1) + length
        found.append(_marked(tail, Extraction(sentence, "answer_is", start, end)))
    if "</answer>" in lower:
        for match in _ANSWER_TAG.finditer(tail):
            text, end = match[1].strip(), match.end()
            found.append(_marked(tail, Extraction(text, "answer_tag", match.start(), end)))
    if len(found) > 1:
        found.sort(key=lambda item: item.start)
        found = [item for item in found if not _is_remark(item)] or found
        found = _merged(tail, found) if join else found
    return found[-MAX_ANCHORS:]


def last_answer(response: str, *, bare: bool = False) -> Extraction:
    """The answer that stands last; its `problem` says whether it counts.

    Args:
        response: the model's text.
        bare: a response without an anchor is itself the answer.
    """
    found = find_all(response)
    return found[-1] if found else Extraction(response.strip() if bare else "", "none", 0)


def _marked(tail: str, item: Extraction) -> Extraction:
    """The answer, marked when what follows takes it back."""
    return item._replace(retracted=True) if taken_back(tail, item.end, item.text) else item


def _merged(tail: str, found: list[Extraction]) -> list[Extraction]:
    """Answers of one kind with nothing between them as one list: no row of guesses is paid."""
    kept = found[:1]
    for item in found[1:]:
        last = kept[-1]
        same = item.anchor == last.anchor != "boxed" and 0 <= item.start - last.end < 60
        if same and _ENUMERATED.fullmatch(tail, last.end, item.start):
            kept[-1] = item._replace(text=_listed(last.text, item.text), start=last.start)
        else:
            kept.append(item)
    return kept


def _is_remark(item: Extraction) -> bool:
    """`so our answer is correct`: words alone, where other anchors hold an answer."""
    return item.anchor == "answer_is" and _MATHEMATICAL.search(item.text) is None


def find_dapo(response: str) -> list[Extraction]:
    """DAPO's convention: `Answer: …`, up to the end of its line, in the last 300 characters."""
    tail = response[-DAPO_CHARS:]
    return [Extraction(m[1].strip(), "answer_is", m.start(), m.end()) for m in _DAPO.finditer(tail)]


def guess_last(response: str) -> Extraction | None:
    """The last formula or number of a text without an anchor: for the flexible score only."""
    tail = response[-1000:]
    last = None
    for match in _GUESS.finditer(tail):
        last = match
    if last is None:
        return None
    return Extraction(
        (last[1] or last[2] or last[3]).strip(" .,"), "none", last.start(), last.end()
    )
