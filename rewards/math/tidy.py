r"""Take off an answer's markup: what changes how it looks, and not what it says.

In: an answer as a model or a data set wrote it. Out: `tidy`, the same in a plainer LaTeX, without
math delimiters, spacing, sizes, fonts and Unicode signs; `squash`, a key under which answers that
differ in markup alone are equal. Reads no mathematics.
"""

from __future__ import annotations

import re
from typing import Final

from rewards.math.signs import SIGNS

_THOUSANDS = re.compile(
    r"(?<=\d)(?:,?\s?\\[,!;: ]\s?|\{,\}\s?|,\\!\s?)(?=\d{3}(?!\d))"  # 1\,000  1{,}000  10,\!000
)
_DROPPED = re.compile(
    r"\\(?:left|right|bigg?|Bigg?|bigl|bigr|Bigl|Bigr)(?![A-Za-z])\s*\.?(?=\s*[\[\](){}|\\<>/]|\s*$)"
    r"|\\(?:displaystyle|textstyle|limits|nolimits|left|right|normalsize|large|boldsymbol|bm"
    r"|rm|bf|it|strut|null)(?![A-Za-z])"
    r"|\\(?:phantom|hphantom|vphantom|hspace|vspace|label|tag)\*?\s*\{[^{}]*\}"
    r"|\\!"
)
_SPACING = re.compile(
    r"(?<!\\)(?:\\[,;:> ]|\\q?quad(?![A-Za-z])|\\(?:thin|med|thick)?space(?![A-Za-z])|~)+"
)
_DEGREE = re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree|\\deg(?![A-Za-z])")
_WRAPPED = re.compile(r"\\(?:f?boxed|fbox|framebox|ensuremath|mathstrut)\s*(?=\{)")
_FRAC = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_OVER = re.compile(r"\{([^{}]*)\\over(?![A-Za-z])([^{}]*)\}")
_BINOM = re.compile(r"\\[dt]binom(?![A-Za-z])")
TEXT: Final = re.compile(
    r"\\(?:text|textbf|textit|textrm|textsf|texttt|textnormal|mbox|hbox|mathrm|mathbf|mathit|mathsf"
    r"|mathtt|mathcal|operatorname\*?|emph|underline)\s*\{([^{}]*)\}"
)
_BLANK = re.compile(r"\s+(?!\d)|(?<!\d)\s+")  # `1 2` is not `12`
_OUTER: Final = (
    *(("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("__", "__")),
    *(("*", "*"), ("`", "`"), ('"', '"'), ("'", "'")),
)


def _delimiters(text: str) -> str:
    r"""Math's dollars away, currency's written `\$`."""
    if "$" not in text:
        return text
    bare = re.findall(r"(?<!\\)\$", text)
    if len(bare) % 2 == 0:
        return re.sub(r"(?<!\\)\$", " ", text)
    return re.sub(r"(?<!\\)\$", " ", re.sub(r"(?<!\\)\$(?=\s?[\d.])", r"\\$", text, count=1))


def strip_outer(text: str) -> str:
    """Without surrounding delimiters, emphasis and closing punctuation, however nested."""
    before = None
    while before != text:
        before = text
        text = text.strip().rstrip(".,;:!" if not re.search(r"[\w})]!+$", text) else ".,;:")
        text = text.lstrip(":").strip()
        if text.endswith("\\"):
            text = text[:-1]  # the backslash of a closing space
        for left, right in _OUTER:
            size = len(left)
            inside = text[size : len(text) - len(right)]
            if (
                len(text) > size + len(right)
                and text.startswith(left)
                and text.endswith(right)
                and left not in inside
                and right not in inside
            ):
                text = inside
    return text.removeprefix("**").removesuffix("**").strip()


def tidy(text: str) -> str:
    """The same answer in a plainer LaTeX."""
    text = strip_outer(text)
    if not text.isascii():
        text = text.translate(SIGNS)
    if "\\" in text:
        text = text.replace("\\(", " ").replace("\\)", " ").replace("\\[", " ")
        if "matrix" not in text and "array" not in text and "cases" not in text:
            text = re.sub(r"\\\\(?=[A-Za-z])", r"\\", text)
        text = re.sub(r"(?<!\\)\\\]", " ", text)
        text = _THOUSANDS.sub("", text)
        text = _DEGREE.sub(r" \\degree ", text)
        text = _DROPPED.sub("", text)
        text = _SPACING.sub(" ", text)
        text = _WRAPPED.sub("", text)
        text = _OVER.sub(r"\\frac{\1}{\2}", text)
        text = _FRAC.sub(r"\\frac", text)
        text = _BINOM.sub(r"\\binom", text)
        text = text.replace("\\%", "%")
    elif "{,}" in text:
        text = _THOUSANDS.sub("", text)
    text = _delimiters(text)
    return strip_outer(text)


def untext(text: str) -> str:
    """Without font commands: their content alone."""
    return TEXT.sub(r" \1 ", text) if "\\" in text else text


def squash(tidied: str) -> str:
    """A key: font commands away, and spaces that do not part two numbers."""
    return _BLANK.sub("", TEXT.sub(r"\1", tidied))
