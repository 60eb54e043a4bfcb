"""The 25 checkers of IFEval, each from its definition in table 4 of arXiv 2311.07911.

In: a response that is not empty and the instruction's arguments, already checked for kind. Out:
whether the response follows it, exactly as written (the loose reading lives in `grade`). Where
the sentence in the paper leaves a choice, the published verdicts decide it, and the docstring says
so. Keywords are plain text here, never patterns. No checker keeps state or draws at random.
"""

from __future__ import annotations

import json
import re
from typing import Final, Literal, get_args

from rewards.ifeval.text import (
    count_capital_words,
    count_sentences,
    count_words,
    split_outer,
)
from rewards.language_id import detect, is_language

Relation = Literal["at least", "less than", "at most", "around", "exactly"]
RELATIONS: Final[tuple[str, ...]] = get_args(Relation)
CONSTRAINED: Final = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_STARS = re.compile(r"\s?\*\*\*\s?")
_STARS_SPACED = re.compile(r"\*[ \t]?\*[ \t]?\*")
_SIX_STARS = re.compile(r"\*{6}")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]*\]")
_ONE_STAR = re.compile(r"\*([^\n*]*)\*")
_TWO_STARS = re.compile(r"\*\*([^\n*]*)\*\*")
_FENCE = re.compile(r"```(?:json)?", re.IGNORECASE)
_FIRST_WORD_END: Final = ".,?!'\""


def holds(count: int, relation: str, wanted: int) -> bool:
    """Whether a count stands in the relation to a number.

    Args:
        count: what was counted.
        relation: IFEval's two, `at least` and `less than`; RLVR-IFeval's `at most`, `around`
            (within a tenth of the number, and at least 1) and `exactly`.
        wanted: the instruction's number.
    """
    match relation:
        case "at least":
            return count >= wanted
        case "less than":
            return count < wanted
        case "at most":
            return count <= wanted
        case "around":
            return abs(count - wanted) <= max(round(wanted / 10), 1)
        case "exactly":
            return count == wanted
    raise ValueError(f"relation {relation!r} is none of {', '.join(RELATIONS)}")


def keywords_exist(response: str, keywords: list[str]) -> bool:
    """Each keyword stands in the response, in any case, also within a longer word."""
    low = response.lower()
    return all(word.lower() in low for word in keywords)


def keyword_frequency(response: str, keyword: str, frequency: int, relation: str) -> bool:
    """The keyword stands there as often as asked; occurrences within longer words count."""
    return holds(response.lower().count(keyword.lower()), relation, frequency)


def word_frequency(response: str, keyword: str, frequency: int, relation: str) -> bool:
    """As `keyword_frequency`, but as a word of its own (RLVR-IFeval)."""
    found = re.findall(rf"(?<!\w){re.escape(keyword)}(?!\w)", response, re.IGNORECASE)
    return holds(len(found), relation, frequency)


def forbidden_words(response: str, forbidden_words: list[str]) -> bool:
    """None of them stands there as a word of its own, in any case."""
    return not any(
        re.search(rf"(?<!\w){re.escape(word)}(?!\w)", response, re.IGNORECASE)
        for word in forbidden_words
    )


def letter_frequency(response: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    """The letter stands there as often as asked, in either case."""
    return holds(response.lower().count(letter.lower()), let_relation, let_frequency)


def response_language(response: str, language: str) -> bool:
    """The response is in the language; one without letters to judge by (None) passes."""
    return is_language(detect(response), language)


def number_sentences(response: str, num_sentences: int, relation: str) -> bool:
    """So many sentences."""
    return holds(count_sentences(response), relation, num_sentences)


def number_words(response: str, num_words: int, relation: str) -> bool:
    """So many words."""
    return holds(count_words(response), relation, num_words)


def number_paragraphs(response: str, num_paragraphs: int) -> bool:
    """Exactly so many paragraphs, divided by `***`, none of them empty."""
    parts = split_outer(response, _STARS)
    return parts is not None and len(parts) == num_paragraphs


def number_paragraphs_spaced(response: str, num_paragraphs: int) -> bool:
    """As `number_paragraphs`, with `* * *` or `***` for a divider (RLVR-IFeval)."""
    parts = split_outer(response, _STARS_SPACED)
    return parts is not None and len(parts) == num_paragraphs


def nth_paragraph_first_word(
    response: str, num_paragraphs: int, nth_paragraph: int, first_word: str
) -> bool:
    """So many paragraphs, divided by an empty line, and the nth begins with the word.

    Quotation marks before the word and punctuation after it do not count, nor does case.
    """
    parts = response.split("\n\n")
    if sum(bool(part.strip()) for part in parts) != num_paragraphs:
        return False
    if nth_paragraph > len(parts) or not parts[nth_paragraph - 1].strip():
        return False
    word = parts[nth_paragraph - 1].split()[0].lstrip("'").lstrip('"')
    for mark in _FIRST_WORD_END:
        word = word.partition(mark)[0]
    return word.lower() == first_word.lower()


def number_placeholders(response: str, num_placeholders: int) -> bool:
    """At least so many `[placeholders]`, each on one line."""
    return len(_PLACEHOLDER.findall(response)) >= num_placeholders


def postscript(response: str, postscript_marker: str) -> bool:
    """A postscript with the marker; `P.S.` and `P.P.S` may have a space after a full stop.

    The published verdicts take the marker anywhere on a line.
    """
    letters = [re.escape(part) for part in postscript_marker.lower().split(".")]
    spaced = postscript_marker in {"P.S.", "P.P.S"}
    pattern = (r"\.\s?" if spaced else r"\.").join(letters).removesuffix(r"\s?")
    return re.search(pattern, response.lower()) is not None


def number_bullets(response: str, num_bullets: int) -> bool:
    """Exactly so many lines that begin with `*` (one of them) or `-`."""
    count = 0
    for line in response.split("\n"):
        start = line.lstrip()[:2]
        count += start[:1] == "-" or (start[:1] == "*" and len(start) == 2 and start != "**")
    return count == num_bullets


def title(response: str) -> bool:
    """A title that is not empty in `<<double angular brackets>>`, on one line."""
    for line in response.split("\n"):
        start = line.find("<<")
        end = line.rfind(">>")
        if 0 <= start < end and line[start:end].strip("<> \t"):
            return True
    return False


def constrained_response(response: str) -> bool:
    """One of the three fixed answers stands in the response."""
    return any(option in response for option in CONSTRAINED)


def one_of(response: str, options: list[str]) -> bool:
    """Exactly one of the options stands in the response as a word of its own (RLVR-IFeval).

    Two named options are no choice; an option within a longer one that is there does not count.
    """
    low = response.lower()
    found: list[str] = []
    for option in sorted(set(options), key=len, reverse=True):
        pattern = rf"(?<!\w){re.escape(option.lower())}(?!\w)"
        if re.search(pattern, low):
            found.append(option)
            low = re.sub(pattern, " ", low)
    return len(found) == 1


def number_highlights(response: str, num_highlights: int) -> bool:
    """At least so many `*highlighted*` or `**highlighted**` stretches within a line."""
    count = sum(bool(inner.strip()) for inner in _ONE_STAR.findall(response))
    count += sum(bool(inner.strip()) for inner in _TWO_STARS.findall(response))
    return count >= num_highlights


def multiple_sections(response: str, section_spliter: str, num_sections: int) -> bool:
    """At least so many sections, each begun by the splitter and a number."""
    begins = re.findall(rf"{re.escape(section_spliter)}\s?\d", response)
    return len(begins) >= num_sections


def json_format(response: str) -> bool:
    """The whole response is JSON, bare or in one fenced block."""
    text = response.strip()
    fence = _FENCE.match(text)
    if fence is not None:
        text = text[fence.end() :]
    text = text.strip().removesuffix("```").strip()
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def repeat_prompt(response: str, prompt_to_repeat: str) -> bool:
    """The response begins with the prompt, outer white space and case aside."""
    return response.strip().lower().startswith(prompt_to_repeat.strip().lower())


def two_responses(response: str) -> bool:
    """Two responses that differ, with `******` between them."""
    parts = split_outer(response, _SIX_STARS)
    return parts is not None and len(parts) == 2 and parts[0] != parts[1]


def english_capital(response: str) -> bool:
    """English, and every letter a capital."""
    return response.isupper() and is_language(detect(response), "en")


def english_lowercase(response: str) -> bool:
    """English, and no letter a capital."""
    return response.islower() and is_language(detect(response), "en")


def capital_word_frequency(response: str, capital_frequency: int, capital_relation: str) -> bool:
    """So many words in capitals."""
    return holds(count_capital_words(response), capital_relation, capital_frequency)


def end_phrase(response: str, end_phrase: str) -> bool:
    """The response ends with the phrase, case and closing double quotation marks aside."""
    return response.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def quotation(response: str) -> bool:
    """The whole response stands in double quotation marks."""
    text = response.strip()
    return len(text) > 1 and text[0] == '"' and text[-1] == '"'


def no_comma(response: str) -> bool:
    """No comma anywhere."""
    return "," not in response
