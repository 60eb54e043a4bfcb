"""The filter `degenerate`: prompts and answers with nothing in them.

In: rows. Out: a finding for an empty prompt or answer, a placeholder, an answer that repeats its
prompt, text without a word or digit, and text broken by a wrong decoding. Short is not degenerate:
"4" is an answer. Loops of words are `repetition`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import Field

from data_prep.filters.base import Finding, Row, RowFilter, answers_of, gold_of, kind_of, text_of
from data_prep.filters.text import words_of

_PLACEHOLDER = re.compile(
    r"""^\W*(?:
        n/?a | nan | null | undefined | tbd | to\ ?do | none\ provided | lorem\ ipsum.* | removed
      | deleted | error | placeholder | object\ object | no\ ?output | no\ ?input
      | no\ (?:answer|response|content)(?:\ (?:provided|available|given|generated))?
      | (?:insert|your|enter)\ (?:\w+\ ){0,3}(?:here|answer|text|response)
    )\W*$""",
    re.VERBOSE | re.IGNORECASE,
)
# What UTF-8 looks like after it was read as Latin-1 or Windows-1252.
_MOJIBAKE = re.compile("\u00c3[\u0080-\u00bf]|\u00e2\u20ac[\u0080-\uffff]|\u00c2[\u00a0-\u00bf]")
_WORD = re.compile(r"[^\W_]")
_LOSS: Final = "\ufffd"


class Degenerate(RowFilter):
    """The filter `degenerate`.

    Attributes:
        mojibake: from so many signs of a wrong decoding, or half as many of lost characters.
        echo_words: an answer equal to a prompt of so many words or more is an echo.
    """

    name: ClassVar[str] = "degenerate"
    reasons: ClassVar[Mapping[str, str]] = {
        "empty_prompt": "the prompt is empty",
        "empty_answer": "an answer is empty, or an RL row has no gold answer",
        "placeholder": "the answer is a placeholder",
        "no_words": "the answer holds no letter or digit",
        "echo": "the answer is the prompt",
        "mojibake": "the text was decoded wrongly",
    }

    mojibake: int = Field(default=4, ge=1)
    echo_words: int = Field(default=4, ge=1)

    def judge_row(self, row: Row) -> Finding | None:
        """The first thing that is missing."""
        prompt = text_of(row, "prompt", system=False)
        if not prompt.strip() and (kind_of(row) != "preference" or "prompt" in row):
            return self.found("empty_prompt")
        if kind_of(row) == "rl" and not (gold_of(row) or "").strip():
            return self.found("empty_answer", "no ground truth")
        answers = answers_of(row)
        if kind_of(row) != "rl" and not answers:
            return self.found("empty_answer", "no assistant turn")
        prompt_words = words_of(prompt)
        for text in answers:
            if not text.strip():
                return self.found("empty_answer")
            if not _WORD.search(text):
                # A picture sign can be an answer; marks alone cannot.
                if max(text.strip()) < "\u2190":
                    return self.found("no_words", f"{text.strip()[:40]!r}")
                continue
            if len(text) < 80 and _PLACEHOLDER.match(text.strip()):
                return self.found("placeholder", f"{text.strip()[:60]!r}")
            if len(prompt_words) >= self.echo_words and words_of(text) == prompt_words:
                return self.found("echo")
        whole = "\n".join([prompt, *answers])
        if not whole.isascii():
            signs = len(_MOJIBAKE.findall(whole)) + 2 * whole.count(_LOSS)
            if signs >= self.mojibake:
                return self.found("mojibake", f"{signs} signs of a wrong decoding")
        return None
