"""IFBench's `format:` constraints; those on brackets and quotes are in `ifbench_nesting`.

In: a response that is not empty and the constraint's arguments, already checked for kind. Out:
whether the response follows it, exactly as written; white space around a response does not count.
Does not judge whether a thesis is one, or an item belongs in its list.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from rewards.ifeval import text
from rewards.ifeval.ifbench_lexicon import MINOR
from rewards.ifeval.ifbench_text import HEADING, sentences, words

_OTHER_BULLET = re.compile(r"(?:[-*•+]|\d{1,3}[.)])[ \t]")
_ITALIC = re.compile(r"(?:<(?:p|div)\b[^<>]{0,200}>\s*)?<(i|em)>\s*(?=[^<\s])", re.IGNORECASE)
_LABELS: Final = ("My Answer:", "My Conclusion:", "Future Outlook:")
_UNFILLED: Final = frozenset({"[answer]", "[conclusion]", "[outlook]"})
_AROUND_OPTION: Final = " \t\r\n.!,;\"'*`“”"


@lru_cache(maxsize=1)
def _emoji() -> tuple[Any, Any]:
    """Patterns of an emoji at a text's end, and of a stop with emoji after it."""
    import regex  # type: ignore[import]

    one = (
        r"(?:[\p{Extended_Pictographic}--[©®™]]|\p{Regional_Indicator}{2}|[0-9\#*]\uFE0F?\u20E3)"
        r"[\uFE0F\u200D\p{Emoji_Modifier}\U000E0020-\U000E007F]*+"
    )
    last = regex.compile(rf"{one}$", regex.V1)
    stop, closers = r"(?<![.?!…])([.?!…]++)", r"([\"'”’)*_]*+)"  # noqa: RUF001
    moved = regex.compile(rf"{stop}{closers}[ \t]*+((?:{one}[ \t]*+)+)", regex.V1)
    return last, moved


def emoji(response: str) -> bool:
    """Each sentence ends with an emoji, before its stop or after it on the same line.

    An emoji that follows a stop belongs to the sentence before. A last line without a stop is a
    sentence too.
    """
    last, moved = _emoji()
    found = sentences(moved.sub(r" \3\2\1 ", response))
    return bool(found) and all(last.search(one[-80:].rstrip(".?!…\"'”’)*_ ")) for one in found)  # noqa: RUF001


def line_indent(response: str) -> bool:
    """Each line begins further in than the one before; blank lines do not count."""
    lines = [line for line in response.split("\n") if line.strip()]
    depths = [len(line) - len(line.lstrip()) for line in lines]
    return len(depths) > 1 and all(before < after for before, after in pairwise(depths))


def list_items(response: str, sep: str) -> bool:
    """At least two lines begin with the separator and hold an item; no line has another bullet.

    The separator stands where a bullet point would, at the item's start. Lines without it, as an
    introduction, are allowed.
    """
    count = 0
    for line in map(str.strip, response.split("\n")):
        if line.startswith(sep):
            count += any(map(str.isalnum, line[len(sep) :]))
        elif _OTHER_BULLET.match(line):
            return False
    return count > 1


def newline(response: str) -> bool:
    """No line holds more than one word, as white space parts them."""
    return all(len(line.split(maxsplit=1)) < 2 for line in response.split("\n"))


def _is_bullet(line: str) -> bool:
    """A `*` that is not the `**` of bold print."""
    return line.startswith("*") and not line.startswith("**") and line.strip("* \t") != ""


def _is_sub_bullet(line: str) -> bool:
    return line.startswith("-") and line.strip("- \t") != ""


def no_bullets_bullets(response: str) -> bool:
    """Two sentences or more that end in a period, then two lines or more that begin with `*`."""
    lines = [line.strip() for line in response.split("\n")]
    bullets = [place for place, line in enumerate(lines) if _is_bullet(line)]
    if len(bullets) < 2:
        return False
    before = text.sentences("\n".join(lines[: bullets[0]]))
    ended = [one.rstrip("\"'”’)*_ ") for one in before]  # noqa: RUF001
    return sum(one.endswith(".") and any(map(str.isalpha, one)) for one in ended) > 1


def no_whitespace(response: str) -> bool:
    """No white space within the response."""
    return not any(map(str.isspace, response.strip()))


def _bare(option: str) -> str:
    return " ".join(option.replace("’", "'").lower().split()).strip(_AROUND_OPTION)  # noqa: RUF001


def options(response: str, options: list[str]) -> bool:
    """The response is one of the options and nothing else; case and a closing stop do not count.

    Half of the prompts add "Do not give any explanation"; the constraint is the same in all.
    """
    return _bare(response) in map(_bare, options)


def output_template(response: str) -> bool:
    """`My Answer: … My Conclusion: … Future Outlook: …`, each once, in this order, filled in.

    Nothing may stand before the first label.
    """
    if not response.strip().startswith(_LABELS[0]):
        return False
    if any(response.count(label) != 1 for label in _LABELS):
        return False
    first, second, third = (response.index(label) for label in _LABELS)
    if not first < second < third:
        return False
    parts = (
        response[first + len(_LABELS[0]) : second],
        response[second + len(_LABELS[1]) : third],
        response[third + len(_LABELS[2]) :],
    )
    return all(words(part) and part.strip() not in _UNFILLED for part in parts)


def sub_bullets(response: str) -> bool:
    """There are lines with `*`, and after each, before the next, at least one with `-`."""
    counts: list[int] = []
    for line in map(str.strip, response.split("\n")):
        if _is_bullet(line):
            counts.append(0)
        elif counts and _is_sub_bullet(line):
            counts[-1] += 1
    return bool(counts) and all(counts)


def thesis(response: str) -> bool:
    """Each section begins with `<i>…</i>` or `<em>…</em>`.

    A section is what follows a heading: a Markdown `#`, an HTML `<h1>` to `<h6>`, or a line all in
    bold; an introduction before the first heading is none, and a heading straight after another
    opens none of its own. A response without headings is one section.
    """
    parts = HEADING.split(response)
    bodies = [part.strip() for part in (parts[1:] or parts)]
    bodies = [body for body in bodies if body]
    return bool(bodies) and all(map(_begins_italic, bodies))


def _begins_italic(body: str) -> bool:
    opened = _ITALIC.match(body)
    return opened is not None and f"</{opened[1].lower()}>" in body[opened.end() :].lower()


def title_case(response: str) -> bool:
    """Each word begins with a capital, but for articles, short conjunctions and prepositions.

    Those (`MINOR`) may begin either way, except the first word. Words that begin with no letter, or
    one without case, are passed over. A text all in capitals, or without any, has another case.
    """
    found = [word for word in words(response) if word[0].isalpha()]
    has_titles = any(word[0].isupper() and word != word.upper() for word in found)
    return has_titles and not any(
        word[0].islower() and (place == 0 or word.lower() not in MINOR)
        for place, word in enumerate(found)
    )
