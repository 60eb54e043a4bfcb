r"""The `choice` reward: one option of a multiple-choice question.

In: a response with an anchored answer (`\boxed{B}`, `Answer: (B)`, `#### B. Paris`, `<answer>the
text of option B</answer>`), the gold letter, and, where the row has them, the options' texts. Out:
a `Verdict` whose `pred` is the letter. A response that names several options has chosen none. A
letter within prose counts only behind an anchor: "A" is also a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rewards.exact import normal
from rewards.extract import MAX_SHOWN, last_answer
from rewards.verdict import Verdict, correct, gold_error, unparseable, wrong

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARKUP = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([^{}]*)\}|[*_`$\\]")
_LEAD = re.compile(
    r"^(?:the\s+)?(?:correct\s+)?(?:option|choice|answer|letter)\s*(?:is\s*)?:?\s*", re.I
)
# A letter that stands as a label: alone, bracketed, or before `.`, `)`, `:` and its text.
_LABEL = re.compile(r"^[(\[]?\s*([A-Za-z])\s*(?:[)\].:,]|$)")
_ANOTHER = re.compile(
    r"(?:\b(?:or|and)|[,/&+])\s*[(\[]?([A-Z])\b[)\].]?(?=\s*(?:$|[,/&+.]|or\b|and\b))"
)


def _texts(choices: Any) -> list[str] | None:
    """The options' texts in order, from a list, or a mapping by letter or with `text`."""
    if isinstance(choices, Mapping):
        if "text" in choices:
            choices = choices["text"]
        else:
            choices = [choices[key] for key in sorted(choices)]
    if hasattr(choices, "tolist"):  # numpy's, from Parquet
        choices = choices.tolist()
    if not isinstance(choices, Sequence) or isinstance(choices, str):
        return None
    return [str(item) for item in choices]


def read_letter(answer: str, count: int, texts: list[str] | None) -> str | None:
    """The one option that an answer names, or None.

    Args:
        answer: what followed the anchor.
        count: number of options; later letters are none.
        texts: the options' texts; an answer that repeats one names it.
    """
    clean = _LEAD.sub("", _MARKUP.sub(lambda m: m[1] or "", answer).strip()).strip()
    if texts:
        same = [i for i, text in enumerate(texts) if normal(text) == normal(clean)]
        if len(same) == 1:
            return LETTERS[same[0]]
    match = _LABEL.match(clean)
    if match is None or match[1].upper() not in LETTERS[:count]:
        return None
    letter, rest = match[1].upper(), clean[match.end(1) :].lstrip(")].: ")
    if texts and normal(rest) and normal(rest) in {normal(text) for text in texts}:
        return letter if normal(rest) == normal(texts[LETTERS.index(letter)]) else None
    others = {m[1] for m in _ANOTHER.finditer(clean[match.end(1) :])} & set(LETTERS[:count])
    return None if others - {letter} else letter


def grade_choice(
    response: str,
    gold: Any,
    *,
    choices: Any = None,
    options_count: int = 26,
    first_index: int = 0,
    require_anchor: bool = True,
) -> Verdict:
    """Judge one response by its last anchored answer; one that is taken back is none.

    Args:
        response: the model's text.
        gold: a letter, `(B)` too, or the option's number.
        choices: the options' texts (a row's field): a list, a mapping by letter, or one with
            `text`. Their number bounds the letters.
        options_count: number of options where the row has no texts.
        first_index: the number of the first option, where gold is a number.
        require_anchor: False also takes a response that is nothing but the answer.
    """
    texts = _texts(choices)
    if choices is not None and not texts:
        return gold_error(f"choices are no list of texts: {str(choices)[:MAX_SHOWN]!r}")
    count = min(len(texts) if texts else options_count, len(LETTERS))
    letter = _gold_letter(gold, first_index)
    if letter is None or letter not in LETTERS[:count]:
        return gold_error(f"gold {gold!r} names none of {count} options")
    answer = last_answer(response, bare=not require_anchor)
    if answer.problem:
        return unparseable(answer.problem)
    pred = read_letter(answer.text[:2000], count, texts)
    if pred is None:
        return unparseable("the answer names no option, or several", answer.text[:MAX_SHOWN])
    return correct(pred) if pred == letter else wrong(pred)


def _gold_letter(gold: Any, first_index: int) -> str | None:
    if isinstance(gold, bool):
        return None
    if isinstance(gold, int) or (isinstance(gold, str) and gold.strip().isdecimal()):
        position = int(gold) - first_index
        return LETTERS[position] if 0 <= position < len(LETTERS) else None
    if isinstance(gold, str):
        letter = gold.strip().strip("()[]. ").upper()
        return letter if len(letter) == 1 and letter in LETTERS else None
    return None
