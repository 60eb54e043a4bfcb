"""The filter `cut_ending`: answers that stop before they end.

In: rows. Out: a finding when the last answer was cut: the generator said so, or its last words
cannot end a text (a comma, an open bracket, "and", "of the"), or a long last line of prose has no
closing mark. Lists, code, tables, formulas, links, headings and short lines may end without one.
Whether the content is complete is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import Field

from data_prep.filters.base import Finding, Row, RowFilter, answers_of
from data_prep.filters.markup import split_fences

_CLOSED = re.compile(
    r"[.!?:;)\]}>\"'*_`$%|~\d\u2026\u3002\uff01\u061f\u0964\u00bb\u201d\u2019\u300d\u300f]\s*$"
)
_HANGING_MARK = re.compile(r"[,(\[{=+\u2013\u2014-]\s*$")
_HANGING_TEXT: Final = (
    "a an the and or but nor so because although though while whereas if unless of to with from "
    "by for into onto at than as is are was were be been being has have had will would can could "
    "should may might must its their our your my his which whose who that"
)
_HANGING: Final = frozenset(_HANGING_TEXT.split())
_NOT_PROSE = re.compile(
    r"^\s*(?:[-*+•#>|]|\d+[.)]|\w[.)]\s)|(?:https?://|#)\S+$|\\\w+|[=;{}<>]|\w\("
)
_MAY_HANG: Final = frozenset(
    {"that", "so", "as", "to", "for", "in", "is", "are", "was", "can", "will", "have", "has"}
    | {"had", "may", "his", "its", "who", "be"}
)
_TRUNCATED: Final = ("length", "max_tokens", "truncated")


def cut(text: str, line_words: int) -> str:
    """How a text shows that it was cut; "" when it does not.

    Args:
        text: an answer.
        line_words: a last line of prose of so many words needs a closing mark.
    """
    prose, blocks, _ = split_fences(text.rstrip())
    if blocks and not prose.rstrip().endswith(text.rstrip()[-1:]):
        return ""  # it ends with code
    lines = [line for line in prose.splitlines() if line.strip()]
    if not lines or text.rstrip().endswith(("```", "~~~")):
        return ""
    last = lines[-1].rstrip()
    words = re.findall(r"[^\W\d_]+", last)
    code = bool(_NOT_PROSE.search(last))
    if len(words) >= 3 and not code and _HANGING_MARK.search(last):
        return f"ends with {last[-1]!r}"
    if _CLOSED.search(last):
        return ""
    final = words[-1] if words else ""
    if len(words) >= 4 and not code and last.endswith(words[-1]):
        if final in _HANGING - _MAY_HANG:
            return f"ends with the word {final!r}"
        if len(words) >= line_words:
            return f"a last line of {len(words)} words without an end"
    return ""


class CutEnding(RowFilter):
    """The filter `cut_ending`.

    Attributes:
        line_words: a last line of prose of so many words needs a closing mark.
    """

    name: ClassVar[str] = "cut_ending"
    reasons: ClassVar[Mapping[str, str]] = {
        "cut_ending": "the answer stops before it ends",
    }

    line_words: int = Field(default=20, ge=1)

    def judge_row(self, row: Row) -> Finding | None:
        """Its last answer, and a pair's other one."""
        for holder in (row, row.get("extra_info") or {}):
            reason = holder.get("finish_reason") if isinstance(holder, Mapping) else None
            if reason in _TRUNCATED:
                return self.found("cut_ending", f"its generator stopped for {reason!r}")
        answers = answers_of(row)
        for text in answers if row.get("rejected") is not None else answers[-1:]:
            how = cut(text, self.line_words)
            if how:
                return self.found("cut_ending", how, ending=text[-80:])
        return None
