"""The row formats in which instructions come, read into one.

In: a row's gold, as a mapping, a list or a text (JSON, or a Python literal as some data sets store
it). Out: the row's instructions. Three formats: IFEval's `{"instruction_id_list": […], "kwargs":
[…]}`; the same under `instruction_id`, alone or in a list of one (IFBench and its training mix);
RLVR-IFeval's flat `{"func_name": "verify_keywords", "keyword_list": […], "N": null, …}`. Checks
nothing against a response. Text is read with `json` and `ast.literal_eval`, which runs nothing.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from rewards.ifeval.arguments import GoldProblem
from rewards.ifeval.instructions import Instruction, instruction

_N: Final = {
    "verify_keyword_frequency": "frequency",
    "verify_letter_frequency": "let_frequency",
    "verify_paragraph_count": "num_paragraphs",
    "validate_word_constraint": "num_words",
    "verify_sentence_constraint": "num_sentences",
    "validate_paragraphs": "num_paragraphs",
    "validate_placeholders": "num_placeholders",
    "verify_bullet_points": "num_bullets",
    "validate_highlighted_sections": "num_highlights",
    "validate_sections": "num_sections",
    "validate_frequency_capital_words": "capital_frequency",
}
_QUANTIFIER: Final = {"validate_frequency_capital_words": "capital_relation"}
# RLVR-IFeval's functions: the instruction, the arguments that they read beside N and quantifier
# (their name there → here), and what the data set's wording fixes ("should appear N times").
RLVR: Final[Mapping[str, tuple[str, Mapping[str, str], Mapping[str, str]]]] = {
    "verify_keywords": ("keywords:existence", {"keyword_list": "keywords"}, {}),
    "verify_keyword_frequency": (
        "rlvr:keyword_frequency",
        {"word": "keyword"},
        {"relation": "exactly"},
    ),
    "validate_forbidden_words": (
        "keywords:forbidden_words",
        {"forbidden_words": "forbidden_words"},
        {},
    ),
    "verify_letter_frequency": (
        "keywords:letter_frequency",
        {"letter": "letter"},
        {"let_relation": "exactly"},
    ),
    "validate_response_language": ("language:response_language", {"language": "language"}, {}),
    "verify_paragraph_count": ("rlvr:number_paragraphs", {}, {}),
    "validate_word_constraint": ("length_constraints:number_words", {}, {}),
    "verify_sentence_constraint": ("length_constraints:number_sentences", {}, {}),
    "validate_paragraphs": (
        "length_constraints:nth_paragraph_first_word",
        {"first_word": "first_word", "i": "nth_paragraph"},
        {},
    ),
    "verify_postscript": (
        "detectable_content:postscript",
        {"postscript_marker": "postscript_marker"},
        {},
    ),
    "validate_placeholders": ("detectable_content:number_placeholders", {}, {}),
    "verify_bullet_points": ("detectable_format:number_bullet_lists", {}, {}),
    "validate_title": ("detectable_format:title", {}, {}),
    "validate_choice": ("rlvr:choice", {"options": "options"}, {}),
    "validate_highlighted_sections": ("detectable_format:number_highlighted_sections", {}, {}),
    "validate_sections": (
        "detectable_format:multiple_sections",
        {"section_splitter": "section_spliter"},
        {},
    ),
    "validate_json_format": ("detectable_format:json_format", {}, {}),
    "validate_repeat_prompt": (
        "combination:repeat_prompt",
        {"original_prompt": "prompt_to_repeat"},
        {},
    ),
    "validate_two_responses": ("combination:two_responses", {}, {}),
    "validate_uppercase": ("change_case:english_capital", {}, {}),
    "validate_lowercase": ("change_case:english_lowercase", {}, {}),
    "validate_frequency_capital_words": ("change_case:capital_word_frequency", {}, {}),
    "validate_end": ("startend:end_checker", {"end_phrase": "end_phrase"}, {}),
    "validate_quotation": ("startend:quotation", {}, {}),
    "validate_no_commas": ("punctuation:no_comma", {}, {}),
}
_QUANTIFIED: Final = frozenset(
    {"validate_word_constraint", "verify_sentence_constraint", "validate_frequency_capital_words"}
)


def _literal(text: str) -> Any:
    """JSON, else a Python literal."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise GoldProblem(f"gold is neither JSON nor a literal: {text[:80]!r}") from error


def _from_rlvr(row: Mapping[str, Any]) -> Instruction:
    """One instruction of RLVR-IFeval; arguments that its function does not read are ignored."""
    name = row["func_name"]
    if name not in RLVR:
        raise GoldProblem(f"no function {name!r} in RLVR-IFeval")
    id, renamed, fixed = RLVR[name]
    arguments: dict[str, Any] = {ours: row.get(theirs) for theirs, ours in renamed.items()}
    arguments |= fixed
    if name in _N:
        arguments[_N[name]] = row.get("N")
    if name in _QUANTIFIED:
        arguments[_QUANTIFIER.get(name, "relation")] = row.get("quantifier")
    options = arguments.get("options")
    if isinstance(
        options, str
    ):  # stored as a text: a literal list, or names with commas or slashes
        arguments["options"] = _split_options(options)
    return instruction(id, arguments)


def _split_options(text: str) -> list[str]:
    if text.lstrip().startswith(("[", "(")):
        try:
            return [str(item) for item in _literal(text)]
        except (GoldProblem, TypeError):
            text = text.strip("[]() ")
    parts = text.split("/") if "/" in text and "," not in text else text.split(",")
    return [part.strip(" '\"") for part in parts if part.strip(" '\"")]


def _from_ifeval(row: Mapping[str, Any]) -> list[Instruction]:
    ids = row.get("instruction_id_list", row.get("instruction_id"))
    ids = [ids] if isinstance(ids, str) else list(ids or [])
    many = row.get("kwargs")
    many = [many] if isinstance(many, Mapping) else list(many if many is not None else [])
    if not ids:
        raise GoldProblem("the row names no instruction")
    if len(ids) != len(many):
        raise GoldProblem(f"{len(ids)} instructions, but arguments for {len(many)}")
    return [
        instruction(id, _literal(one) if isinstance(one, str) else one)
        for id, one in zip(ids, many, strict=True)
    ]


def _read(gold: Any) -> list[Instruction]:
    if isinstance(gold, str):
        gold = _literal(gold)
    if isinstance(gold, Mapping):
        return [_from_rlvr(gold)] if "func_name" in gold else _from_ifeval(gold)
    if isinstance(gold, (list, tuple)) or hasattr(gold, "tolist"):  # numpy's, from Parquet
        found = [item for part in gold for item in _read(part)]
        if found:
            return found
    raise GoldProblem(f"gold names no instruction: {str(gold)[:80]!r}")


_read_text = lru_cache(maxsize=4096)(lambda text: tuple(_read(text)))


def instructions(gold: Any) -> tuple[Instruction, ...]:
    """The instructions of a row, in order.

    Args:
        gold: the row's gold in one of the three formats.

    Raises:
        GoldProblem: it is in none of them, or an instruction lacks an argument.
    """
    # A row's gold is read again for each of its rollouts; only texts can be remembered.
    return _read_text(gold) if isinstance(gold, str) else tuple(_read(gold))
