"""IFEval's 25 checkers, each on responses judged by hand from the paper's table of instructions.

1. Each instruction has responses that follow it and near misses that do not.
2. An empty response follows nothing, not even "no comma".
3. The table of instructions holds exactly IFEval's 25.
4. Nothing a response may hold takes long: 100 kB against every checker; IFBench's are held to it
   in `tests/golden/test_ifbench_limits.py`.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from rewards.ifeval.instructions import IFEVAL_IDS, instruction

AT_LEAST, LESS = "at least", "less than"
# id, arguments, responses that follow, responses that do not
CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "keywords:existence",
        {"keywords": ["Cat", "a.b"]},
        ["cats and a.b", "CAT A.B"],
        ["cat", "cat axb"],
    ),
    (
        "keywords:frequency",
        {"keyword": "war", "frequency": 2, "relation": AT_LEAST},
        ["war and War", "warward"],
        ["war", "peace"],
    ),
    (
        "keywords:frequency",
        {"keyword": "war", "frequency": 2, "relation": LESS},
        ["war", "peace"],
        ["war war"],
    ),
    (
        "keywords:forbidden_words",
        {"forbidden_words": ["rock", "c++"]},
        ["rocks", "c"],
        ["a Rock.", "in c++"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "Q", "let_frequency": 2, "let_relation": AT_LEAST},
        ["qQ"],
        ["q", "none"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "#", "let_frequency": 2, "let_relation": AT_LEAST},
        ["#a #b"],
        ["#a", "aa"],
    ),
    (
        "language:response_language",
        {"language": "de"},
        ["Dies ist ein ganz gewöhnlicher deutscher Satz über das Wetter.", "123"],
        ["This is quite an ordinary English sentence about the weather."],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": AT_LEAST},
        ["A cat. A dog! A cow?", "one. two. three"],
        ["A cat. A dog", "Mr. Smith and Dr. No met at 3.5 p.m. on Monday."],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": LESS},
        ["Only one, e.g. this."],
        ["One. Two."],
    ),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        ["a\n***\nb", "***\na\n***\nb\n***"],
        ["a\n\nb", "a\n***\n***\nb", "a *** b *** c"],
    ),
    (
        "length_constraints:number_words",
        {"num_words": 4, "relation": AT_LEAST},
        ["one two three four", "well-known two-part"],
        ["one two three"],
    ),
    (
        "length_constraints:number_words",
        {"num_words": 4, "relation": LESS},
        ["one two three", "नमस्ते दुनिया"],
        ["don't stop now"],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "president"},
        ["A.\n\nPresident Lincoln", "A.\n\n\"President's day"],
        ["President\n\nA", "A.\n\nPresidents", "A\n\npresident\n\nB", "A"],
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        ["[name] [address]", "[a] [b] [c]"],
        ["[name]", "[na\nme] [x]"],
    ),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.S."},
        ["Bye.\nP.S. Hi", "bye\np. s. hi"],
        ["Bye. PS hi"],
    ),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.P.S"},
        ["Bye.\nP.P.S. Hi", "p. p. s"],
        ["P.S. hi"],
    ),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        ["* a\n* b", "- a\n  * b\ntext", "**bold**\n* a\n- b"],
        ["* a", "* a\n* b\n* c", "**a**\n**b**"],
    ),
    (
        "detectable_format:constrained_response",
        {},
        ["My answer is yes.", "I think: My answer is maybe."],
        ["yes", "My answer is perhaps."],
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        ["*a* and *b*", "**a** x **b**"],
        ["*a*", "* *  * *", "*a\nb* *c"],
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        ["SECTION 1\na\nSECTION 2\nb"],
        ["SECTION 1\na", "SECTION one SECTION two", "Section 1 Section 2"],
    ),
    (
        "detectable_format:json_format",
        {},
        ['{"a": [1, 2]}', '```json\n{"a": 1}\n```', "[1]"],
        ['{"a": 1', 'Here: {"a": 1}', "[" * 100_000],
    ),
    ("detectable_format:title", {}, ["<<joy>>\ntext"], ["<joy>", "<<>>", "<<  >>", "<<a\nb>>"]),
    (
        "combination:two_responses",
        {},
        ["a\n******\nb", "******a******b"],
        ["a", "a******a", "a******b******c", "a************b"],
    ),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": "Write a poem."},
        ["write a poem. Roses are red"],
        ["Sure! Write a poem.", "Write a"],
    ),
    (
        "startend:end_checker",
        {"end_phrase": "Any questions?"},
        ["Bye. any questions?", '"Bye. Any questions?"'],
        ["Any questions? No.", "Bye"],
    ),
    ("startend:quotation", {}, ['"a"', ' "a" '], ['"', '"a', "'a'"]),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 3, "capital_relation": AT_LEAST},
        ["NASA, USA and COVID-19", "I AM A MAN"],
        ["NASA and Nasa", "aB cD"],
    ),
    (
        "change_case:english_capital",
        {},
        ["THIS IS AN ENGLISH SENTENCE ABOUT THE WEATHER."],
        ["THIS IS AN ENGLISH SENTENCE about the weather.", "DIES IST EIN DEUTSCHER SATZ."],
    ),
    (
        "change_case:english_lowercase",
        {},
        ["this is an english sentence about the weather."],
        ["This is an english sentence.", "dies ist ein deutscher satz über das wetter.", "12"],
    ),
    ("punctuation:no_comma", {}, ["no comma here"], ["a, b"]),
]


@pytest.mark.parametrize(("id", "arguments", "right", "wrong"), CASES)
def test_a_checker_tells_following_from_not(
    id: str, arguments: dict[str, Any], right: list[str], wrong: list[str]
) -> None:
    one = instruction(id, arguments)
    assert [text for text in right if not one.followed(text)] == []
    assert [text for text in wrong if one.followed(text)] == []


def test_every_instruction_of_the_paper_has_a_case_and_there_are_25() -> None:
    assert len(IFEVAL_IDS) == 25
    assert {id for id, *_ in CASES} == IFEVAL_IDS


@pytest.mark.parametrize(("id", "arguments"), [case[:2] for case in CASES])
def test_an_empty_response_follows_nothing(id: str, arguments: dict[str, Any]) -> None:
    assert not instruction(id, arguments).followed("")
    assert not instruction(id, arguments).followed(" \n")


HOSTILE = ["*" * 100_000, "<" * 100_000, "[" * 100_000, "\n" * 100_000 + "x", ". " * 50_000]
HOSTILE += ["a" * 100_000, "***" + " " * 100_000, "P. " * 33_000, '"' * 100_000, "-" * 100_000]


def test_no_response_of_100_kb_holds_a_checker_up() -> None:
    ready = [instruction(id, arguments) for id, arguments, *_ in CASES]
    ready[0].followed("warm")
    for text in HOSTILE:
        for one in ready:
            begun = time.process_time()
            one.followed(text)
            assert time.process_time() - begun < 1.0, (one.id, text[:10])
