"""What each instruction needs: its checker, and the kind of each argument.

In: an instruction's id and its arguments as a data set holds them. Out: an `Instruction` ready to
check, or a `GoldProblem` that says what the row lacks. A missing argument is never filled in, by
chance or by default, and one that is 0 or empty is the argument it is: peers draw a random
threshold for both. `None` means "not given", as in data sets with one column per argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Final

from rewards.ifeval import checks
from rewards.language_id import code_of, languages


class GoldProblem(ValueError):
    """A row asks for something that cannot be checked."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of one row.

    Attributes:
        id: IFEval's id, `group:name`.
        arguments: the checker's arguments, complete and of the right kinds.
        checker: the function that reads the response.
    """

    id: str
    arguments: Mapping[str, Any]
    checker: Callable[..., bool]

    def followed(self, response: str) -> bool:
        """Whether the response follows it; one without any text follows nothing."""
        return bool(response.strip()) and self.checker(response, **self.arguments)


def _count(value: object) -> int:
    """A whole number from 0 on; data frames turn them into floats."""
    whole = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    if isinstance(value, bool) or not whole or int(value) < 0:  # type: ignore[call-overload]
        raise GoldProblem(f"needs a whole number from 0 on, got {value!r}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def _place(value: object) -> int:
    """A position, counted from 1."""
    number = _count(value)
    if number < 1:
        raise GoldProblem("counts from 1, got 0")
    return number


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise GoldProblem(f"needs a text that is not empty, got {value!r}")
    return value


def _texts(value: object) -> list[str]:
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise GoldProblem(f"needs a list of texts, got {value!r}")
    return [_text(item) for item in value]


def _options(value: object) -> list[str]:
    found = _texts(value)
    if len(found) < 2:
        raise GoldProblem(f"needs at least two options, got {found!r}")
    return found


def _letter(value: object) -> str:
    if not isinstance(value, str) or len(value) != 1:
        raise GoldProblem(f"needs one character, got {value!r}")
    return value


def _relation(value: object) -> str:
    if value not in checks.RELATIONS:
        raise GoldProblem(f"needs one of {', '.join(checks.RELATIONS)}, got {value!r}")
    return str(value)


def _language(value: object) -> str:
    code = code_of(_text(value))
    if code is None:
        raise GoldProblem(f"no language {value!r}; known: {', '.join(sorted(languages()))}")
    return code


Reader = Callable[[object], Any]
_COUNTED: Final = {"relation": _relation}
KINDS: Final[Mapping[str, tuple[Callable[..., bool], Mapping[str, Reader]]]] = {
    "keywords:existence": (checks.keywords_exist, {"keywords": _texts}),
    "keywords:frequency": (
        checks.keyword_frequency,
        {"keyword": _text, "frequency": _count, **_COUNTED},
    ),
    "keywords:forbidden_words": (checks.forbidden_words, {"forbidden_words": _texts}),
    "keywords:letter_frequency": (
        checks.letter_frequency,
        {"letter": _letter, "let_frequency": _count, "let_relation": _relation},
    ),
    "language:response_language": (checks.response_language, {"language": _language}),
    "length_constraints:number_sentences": (
        checks.number_sentences,
        {"num_sentences": _count, **_COUNTED},
    ),
    "length_constraints:number_paragraphs": (checks.number_paragraphs, {"num_paragraphs": _count}),
    "length_constraints:number_words": (checks.number_words, {"num_words": _count, **_COUNTED}),
    "length_constraints:nth_paragraph_first_word": (
        checks.nth_paragraph_first_word,
        {"num_paragraphs": _count, "nth_paragraph": _place, "first_word": _text},
    ),
    "detectable_content:number_placeholders": (
        checks.number_placeholders,
        {"num_placeholders": _count},
    ),
    "detectable_content:postscript": (checks.postscript, {"postscript_marker": _text}),
    "detectable_format:number_bullet_lists": (checks.number_bullets, {"num_bullets": _count}),
    "detectable_format:constrained_response": (checks.constrained_response, {}),
    "detectable_format:number_highlighted_sections": (
        checks.number_highlights,
        {"num_highlights": _count},
    ),
    "detectable_format:multiple_sections": (
        checks.multiple_sections,
        {"section_spliter": _text, "num_sections": _count},
    ),
    "detectable_format:json_format": (checks.json_format, {}),
    "detectable_format:title": (checks.title, {}),
    "combination:two_responses": (checks.two_responses, {}),
    "combination:repeat_prompt": (checks.repeat_prompt, {"prompt_to_repeat": _text}),
    "startend:end_checker": (checks.end_phrase, {"end_phrase": _text}),
    "startend:quotation": (checks.quotation, {}),
    "change_case:capital_word_frequency": (
        checks.capital_word_frequency,
        {"capital_frequency": _count, "capital_relation": _relation},
    ),
    "change_case:english_capital": (checks.english_capital, {}),
    "change_case:english_lowercase": (checks.english_lowercase, {}),
    "punctuation:no_comma": (checks.no_comma, {}),
    # As RLVR-IFeval words four of them; `rows` maps its function names here.
    "rlvr:keyword_frequency": (
        checks.word_frequency,
        {"keyword": _text, "frequency": _count, **_COUNTED},
    ),
    "rlvr:number_paragraphs": (checks.number_paragraphs_spaced, {"num_paragraphs": _count}),
    "rlvr:choice": (checks.one_of, {"options": _options}),
}
IFEVAL_IDS: Final = frozenset(name for name in KINDS if not name.startswith("rlvr:"))


def instruction(id: str, arguments: Mapping[str, Any] | None) -> Instruction:
    """Check an instruction's arguments.

    Args:
        id: IFEval's id.
        arguments: by name; entries that are None count as not given.

    Raises:
        GoldProblem: no such instruction, an argument is missing, unknown or of the wrong kind.
    """
    if id not in KINDS:
        raise GoldProblem(f"no instruction {id!r}")
    checker, readers = KINDS[id]
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    if readers.keys() - given.keys():
        raise GoldProblem(f"{id} lacks {', '.join(sorted(readers.keys() - given.keys()))}")
    if given.keys() - readers.keys():
        raise GoldProblem(f"{id} takes no {', '.join(sorted(given.keys() - readers.keys()))}")
    ready = {}
    for name, read in readers.items():
        try:
            ready[name] = read(given[name])
        except GoldProblem as problem:
            raise GoldProblem(f"{id}: {name} {problem}") from None
    if ready.get("nth_paragraph", 0) > ready.get("num_paragraphs", 0) and "nth_paragraph" in ready:
        raise GoldProblem(f"{id}: paragraph {ready['nth_paragraph']} of {ready['num_paragraphs']}")
    return Instruction(id, ready, checker)
