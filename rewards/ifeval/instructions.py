"""What each instruction needs: its checker, and the kind of each argument.

In: an instruction's id and its arguments as a data set holds them. Out: an `Instruction` ready to
check, or a `GoldProblem` that says what the row lacks. A missing argument is never filled in, by
chance or by default, and one that is 0 or empty is the argument it is: peers draw a random
threshold for both. `None` means "not given", as in data sets with one column per argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rewards.ifeval import checks, ifbench
from rewards.ifeval.arguments import (
    GoldProblem,
    Reader,
    count,
    language,
    letter,
    options,
    place,
    relation,
    text,
    texts,
)


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


_COUNTED: Final = {"relation": relation}
KINDS: Final[Mapping[str, tuple[Callable[..., bool], Mapping[str, Reader]]]] = {
    "keywords:existence": (checks.keywords_exist, {"keywords": texts}),
    "keywords:frequency": (
        checks.keyword_frequency,
        {"keyword": text, "frequency": count, **_COUNTED},
    ),
    "keywords:forbidden_words": (checks.forbidden_words, {"forbidden_words": texts}),
    "keywords:letter_frequency": (
        checks.letter_frequency,
        {"letter": letter, "let_frequency": count, "let_relation": relation},
    ),
    "language:response_language": (checks.response_language, {"language": language}),
    "length_constraints:number_sentences": (
        checks.number_sentences,
        {"num_sentences": count, **_COUNTED},
    ),
    "length_constraints:number_paragraphs": (checks.number_paragraphs, {"num_paragraphs": count}),
    "length_constraints:number_words": (checks.number_words, {"num_words": count, **_COUNTED}),
    "length_constraints:nth_paragraph_first_word": (
        checks.nth_paragraph_first_word,
        {"num_paragraphs": count, "nth_paragraph": place, "first_word": text},
    ),
    "detectable_content:number_placeholders": (
        checks.number_placeholders,
        {"num_placeholders": count},
    ),
    "detectable_content:postscript": (checks.postscript, {"postscript_marker": text}),
    "detectable_format:number_bullet_lists": (checks.number_bullets, {"num_bullets": count}),
    "detectable_format:constrained_response": (checks.constrained_response, {}),
    "detectable_format:number_highlighted_sections": (
        checks.number_highlights,
        {"num_highlights": count},
    ),
    "detectable_format:multiple_sections": (
        checks.multiple_sections,
        {"section_spliter": text, "num_sections": count},
    ),
    "detectable_format:json_format": (checks.json_format, {}),
    "detectable_format:title": (checks.title, {}),
    "combination:two_responses": (checks.two_responses, {}),
    "combination:repeat_prompt": (checks.repeat_prompt, {"prompt_to_repeat": text}),
    "startend:end_checker": (checks.end_phrase, {"end_phrase": text}),
    "startend:quotation": (checks.quotation, {}),
    "change_case:capital_word_frequency": (
        checks.capital_word_frequency,
        {"capital_frequency": count, "capital_relation": relation},
    ),
    "change_case:english_capital": (checks.english_capital, {}),
    "change_case:english_lowercase": (checks.english_lowercase, {}),
    "punctuation:no_comma": (checks.no_comma, {}),
    # As RLVR-IFeval words four of them; `rows` maps its function names here.
    "rlvr:keyword_frequency": (
        checks.word_frequency,
        {"keyword": text, "frequency": count, **_COUNTED},
    ),
    "rlvr:number_paragraphs": (checks.number_paragraphs_spaced, {"num_paragraphs": count}),
    "rlvr:choice": (checks.one_of, {"options": options}),
    **ifbench.KINDS,
}
IFEVAL_IDS: Final = frozenset(
    name for name in KINDS.keys() - ifbench.IDS if not name.startswith("rlvr:")
)


def _impossible(ready: Mapping[str, Any]) -> str:
    """Why no response can follow arguments that are right one by one; "" if one can."""
    match ready:
        case {"nth_paragraph": nth, "num_paragraphs": many} if nth > many:
            return f"paragraph {nth} of {many}"
        case {"min_words": least, "max_words": most} if least > most:
            return f"at least {least} and at most {most} words"
        case {"prompt_to_repeat": prompt, "n_start": start, "n_end": end}:
            count = len(prompt.split())
            if not start <= end < count:
                return f"words {start} to {end} of {count}, counted from 0"
    return ""


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
    impossible = _impossible(ready)
    if impossible:
        raise GoldProblem(f"{id}: {impossible}")
    return Instruction(id, ready, checker)
