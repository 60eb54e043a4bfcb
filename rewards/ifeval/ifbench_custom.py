"""IFBench's eleven `custom:` constraints: each is the whole of one prompt, so it has no arguments.

In: a response that is not empty. Out: whether it is what the prompt asks for, exactly as written.
A table may stand in one fenced block. Facts are judged where the list is closed (capitals,
countries, numbers); that the dates are those of all of Napoleon's battles is not.
"""

from __future__ import annotations

import re
import string
import unicodedata
from datetime import date
from itertools import pairwise
from typing import Final, NamedTuple

from rewards.ifeval.ifbench_places import (
    AFRICA,
    AFRICA_NAMES,
    CAPITAL_NAMES,
    CAPITALS,
    OPTIONAL_AFRICA,
    OPTIONAL_CAPITALS,
)
from rewards.ifeval.ifbench_text import folded, lettered, sentences

_FENCE = re.compile(r"\A```[a-zA-Z]*[ \t]*\n(.*)\n```\Z", re.DOTALL)
_MULTIPLES: Final = ["14", "21", "28", "35", "42", "49"]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CAMPAIGNS: Final = (1793, 1815)  # from Toulon to Waterloo
_LABEL = re.compile(r"[*#\s]*Question\b[\s\d.:)*#-]*")
_OPTION = re.compile(r"[-*\s]*\(?(?:[A-Ea-e]|[1-5])[).:]\**\s*\S")
_QUESTIONS: Final = 4
_OPTIONS: Final = 5
_SENTENCE_WORDS: Final = 3  # fewer make no sentence


class Field(NamedTuple):
    """One field of a table, and whether it stood in double quotes."""

    text: str
    quoted: bool


def _fields(line: str, separator: str) -> list[Field]:
    """A line's fields; a doubled quote within quotes is a quote (RFC 4180)."""
    found: list[Field] = []
    start, inside = 0, False
    for place, sign in enumerate(line + separator):
        if sign == '"':
            inside = not inside
        if sign == separator and (not inside or place == len(line)):
            raw = line[start:place].strip(" ")
            quoted = len(raw) > 1 and raw[0] == raw[-1] == '"'
            text = raw[1:-1].replace('""', '"') if quoted else raw
            found.append(Field(text, quoted))
            start, inside = place + 1, False
    return found


def _table(response: str, header: str, separator: str, rows: int) -> list[list[Field]] | None:
    """The table's lines below its header; None if it is not that table, or has a ragged line."""
    text = response.strip()
    fenced = _FENCE.match(text)
    lines = [line for line in (fenced[1] if fenced else text).splitlines() if line.strip()]
    if len(lines) != rows + 1:
        return None
    table = [_fields(line, separator) for line in lines]
    names = header.split()
    if [field.text for field in table[0]] != names:
        return None
    return table if all(len(line) == len(names) for line in table) else None


def csv_city(response: str) -> bool:
    """The header ID, Country, City, Year, Count and 7 rows, with commas."""
    return _table(response, "ID Country City Year Count", ",", 7) is not None


def csv_special_character(response: str) -> bool:
    """The header ProductID … Stock, 14 rows, with commas, and a quoted field with a special sign.

    Special is what is neither letter, digit nor white space; at least one field in double quotes
    holds such a sign. The columns stay the five that are named.
    """
    table = _table(response, "ProductID Category Brand Price Stock", ",", 14)
    return table is not None and any(
        field.quoted and any(not (sign.isalnum() or sign.isspace()) for sign in field.text)
        for line in table[1:]
        for field in line
    )


def csv_quotes(response: str) -> bool:
    """The header StudentID … Score and 3 rows, with tabs, every field in double quotes.

    "Each single field": the header's as well.
    """
    table = _table(response, "StudentID Subject Grade Semester Score", "\t", 3)
    return table is not None and all(field.quoted for line in table for field in line)


def multiples(response: str) -> bool:
    """14, 21, 28, 35, 42 and 49, in this order, and no other number or word."""
    return re.findall(r"\w+", response) == _MULTIPLES


def date_format_list(response: str) -> bool:
    """At least two dates as YYYY-MM-DD, of 1793 to 1815, none twice, with commas, nothing else."""
    parts = [part.strip() for part in response.strip().rstrip(".").split(",")]
    if len(parts) < 2 or len(set(parts)) != len(parts):
        return False
    return all(_is_of_the_campaigns(part) for part in parts)


def _is_of_the_campaigns(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        year = date.fromisoformat(text).year
    except ValueError:
        return False
    return _CAMPAIGNS[0] <= year <= _CAMPAIGNS[1]


def _plain(text: str) -> str:
    """Small letters without accents, with straight apostrophes and single spaces."""
    letters = unicodedata.normalize("NFD", text.replace("’", "'").lower())  # noqa: RUF001
    return " ".join("".join(s for s in letters if not unicodedata.combining(s)).split())


def european_capitals_sort(response: str) -> bool:
    """All capitals of Europe north of 45°, with commas, from north to south, and nothing else.

    28 of them; Kazakhstan's may be there or not.
    """
    parts = [_plain(part) for part in response.strip().rstrip(".").split(",")]
    names = [CAPITAL_NAMES.get(part, part) for part in parts]
    if not set(CAPITALS) - OPTIONAL_CAPITALS <= set(names) <= set(CAPITALS):
        return False
    return all(CAPITALS[before] > CAPITALS[after] for before, after in pairwise(names))


def reverse_newline(response: str) -> bool:
    """The 54 countries of Africa, one on a line, from z to a as they are written.

    Common English names are known, accents and a leading "The" do not count; Western Sahara and
    Somaliland may be there or not.
    """
    lines = [_plain(line) for line in response.strip().splitlines() if line.strip()]
    lines = [line.removeprefix("the ") for line in lines]
    names = {AFRICA_NAMES.get(line, line) for line in lines}
    if not names <= AFRICA | OPTIONAL_AFRICA or not names >= AFRICA or len(names) != len(lines):
        return False
    return all(before > after for before, after in pairwise(lines))


def mcq_count_length(response: str) -> bool:
    """Four questions that begin with "Question", each longer than the last, with 5 options each.

    A question is what stands between its label and its first option, and its length the number of
    its characters; an option is a line that begins with a letter or number and `)`, `.` or `:`.
    Nothing else may stand there: "Do not provide an explanation".
    """
    stems: list[str] = []
    counts: list[int] = []
    for line in map(str.strip, response.split("\n")):
        label = _LABEL.match(line)
        if not line or line.strip("-*_ ") == "":
            continue
        if label is not None:
            stems.append(line[label.end() :].strip(" *"))
            counts.append(0)
        elif not stems:
            return False
        elif _OPTION.match(line) and stems[-1]:
            counts[-1] += 1
        elif counts[-1]:
            return False
        else:
            stems[-1] += line.strip(" *")
    if counts != [_OPTIONS] * _QUESTIONS:
        return False
    return all(len(before) < len(after) for before, after in pairwise(stems))


def sentence_alphabet(response: str) -> bool:
    """26 sentences, whose first letters are a to z."""
    found = [lettered(one) for one in sentences(response)]
    if len(found) != len(string.ascii_lowercase):
        return False
    return all(one and one[0][0] == s for one, s in zip(found, string.ascii_lowercase, strict=True))


def character_reverse(response: str) -> bool:
    """A sentence that names the eagle when read letter by letter from its end.

    What else it says is not judged; read forwards it must not name the eagle.
    """
    backwards = folded(response[::-1])
    return (
        len(backwards) >= _SENTENCE_WORDS
        and "eagle" in backwards
        and "eagle" not in folded(response)
    )


def word_reverse(response: str) -> bool:
    """A sentence that names the bald eagle when read word by word from its end.

    Forwards, that is "eagle bald". What else it says is not judged.
    """
    found = folded(response)
    pairs = set(pairwise(found))
    in_reverse = ("eagle", "bald") in pairs and ("bald", "eagle") not in pairs
    return in_reverse and len(found) >= _SENTENCE_WORDS
