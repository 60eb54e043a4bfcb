"""Rows of instructions: three formats, and rows that ask for nothing checkable.

1. A missing argument is refused, never drawn at random; an unknown or impossible one too.
2. A 0 and an empty list are the arguments they are.
3. RLVR-IFeval's 25 functions are read as that data set words them.
4. IFEval's rows, IFBench's literal text and RLVR-IFeval's JSON give the same instruction.
5. Strict and loose, all or a share: the verdict's components hold both readings.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from rewards.ifeval.grade import grade_ifeval, loose_readings
from rewards.ifeval.instructions import KINDS, GoldProblem, instruction
from rewards.ifeval.rows import RLVR, instructions
from rewards.registry import load_reward

WORDS = "length_constraints:number_words"
# RLVR-IFeval has one column for each argument; those that a function does not read are null.
EMPTY = dict.fromkeys(
    (
        *("N", "quantifier", "end_phrase", "keyword_list", "word", "forbidden_words", "letter"),
        *("i", "first_word", "postscript_marker", "options", "section_splitter"),
        *("original_prompt", "language"),
    )
)


def rlvr(name: str, **given: Any) -> str:
    return json.dumps({"func_name": name, **EMPTY, **given})


@pytest.mark.parametrize(
    ("id", "arguments", "said"),
    [
        (WORDS, {"num_words": 5}, "lacks relation"),
        (WORDS, {"num_words": None, "relation": "at least"}, "lacks num_words"),
        (WORDS, {}, "lacks num_words, relation"),
        (WORDS, {"num_words": -1, "relation": "at least"}, "whole number"),
        (WORDS, {"num_words": 2.5, "relation": "at least"}, "whole number"),
        (WORDS, {"num_words": True, "relation": "at least"}, "whole number"),
        (WORDS, {"num_words": "5", "relation": "at least"}, "whole number"),
        (WORDS, {"num_words": 5, "relation": "above"}, "needs one of"),
        ("punctuation:no_comma", {"n": 1}, "takes no n"),
        ("keywords:letter_frequency", {"letter": "ab"}, "lacks"),
        ("keywords:existence", {"keywords": "cat"}, "list of texts"),
        ("keywords:existence", {"keywords": [""]}, "not empty"),
        ("language:response_language", {"language": "xx"}, "no language"),
        ("no:such", {}, "no instruction"),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "a"},
            "paragraph 3 of 2",
        ),
    ],
)
def test_a_row_that_cannot_be_checked_is_refused(id: str, arguments: Any, said: str) -> None:
    with pytest.raises(GoldProblem, match=said):
        instruction(id, arguments)


@pytest.mark.parametrize("id", [id for id, (_, readers) in KINDS.items() if readers])
def test_no_argument_of_any_instruction_has_a_default(id: str) -> None:
    with pytest.raises(GoldProblem, match="lacks"):
        instruction(id, {})


def test_zero_is_a_threshold_of_zero() -> None:
    at_least = instruction(
        "keywords:frequency", {"keyword": "a", "frequency": 0, "relation": "at least"}
    )
    below = instruction(
        "keywords:frequency", {"keyword": "a", "frequency": 0, "relation": "less than"}
    )
    assert at_least.followed("b") and not below.followed("b")
    assert instruction(
        "detectable_content:number_placeholders", {"num_placeholders": 0.0}
    ).followed("b")
    assert instruction("detectable_format:number_bullet_lists", {"num_bullets": 0}).followed("b")
    assert not instruction("detectable_format:number_bullet_lists", {"num_bullets": 0}).followed(
        "* b"
    )
    assert instruction("keywords:forbidden_words", {"forbidden_words": []}).followed("b")


@pytest.mark.parametrize(
    ("gold", "right", "wrong"),
    [
        (rlvr("verify_keywords", keyword_list=["cat"]), "a cat", "a dog"),
        (rlvr("verify_keyword_frequency", word="cat", N=2), "cat cat cats", "cat cat cat"),
        (rlvr("validate_forbidden_words", forbidden_words=["cat"]), "cats", "a cat"),
        (rlvr("verify_letter_frequency", letter="q", N=0), "abc", "q"),
        (rlvr("verify_letter_frequency", letter="q", N=2), "qq", "qqq"),
        (
            rlvr("validate_response_language", language="en"),
            "An English sentence.",
            "Ein Satz auf Deutsch hier.",
        ),
        (rlvr("validate_response_language", language="Chinese"), "今天天气很好", "Hello there."),
        (rlvr("verify_paragraph_count", N=2), "a\n* * *\nb", "a\n\nb"),
        (rlvr("validate_word_constraint", N=3, quantifier="at most"), "one two three", "a b c d"),
        (rlvr("validate_word_constraint", N=20, quantifier="around"), "a " * 22, "a " * 23),
        (rlvr("verify_sentence_constraint", N=2, quantifier="at least"), "One. Two.", "One two."),
        (rlvr("validate_paragraphs", N=2, first_word="Cats", i=2), "a\n\nCats sit", "Cats\n\na"),
        (rlvr("verify_postscript", postscript_marker="P.P.S"), "a\nP.P.S b", "a\nP.S. b"),
        (rlvr("validate_placeholders", N=1), "[a]", "a"),
        (rlvr("verify_bullet_points", N=1), "* a", "* a\n* b"),
        (rlvr("validate_title"), "<<a>>", "a"),
        (rlvr("validate_choice", options=["yes", "no"]), "I say yes.", "yes or no"),
        (rlvr("validate_choice", options="('red', 'blue')"), "red", "reddish"),
        (rlvr("validate_choice", options="red/blue"), "blue", "green"),
        (rlvr("validate_highlighted_sections", N=1), "*a*", "a"),
        (rlvr("validate_sections", N=1, section_splitter="Part"), "Part 1", "Part one"),
        (rlvr("validate_json_format"), "[1]", "x"),
        (rlvr("validate_repeat_prompt", original_prompt="Say a."), "Say a. a", "a"),
        (rlvr("validate_two_responses"), "a******b", "a"),
        (rlvr("validate_uppercase"), "THIS IS ENGLISH TEXT.", "This is English text."),
        (rlvr("validate_lowercase"), "this is english text.", "This is english text."),
        (rlvr("validate_frequency_capital_words", N=1, quantifier="at most"), "A b", "A B"),
        (rlvr("validate_end", end_phrase="the end."), "So, the end.", "the end. So"),
        (rlvr("validate_quotation"), '"a"', "a"),
        (rlvr("validate_no_commas"), "a", "a, b"),
    ],
)
def test_rows_of_rlvr_ifeval(gold: str, right: str, wrong: str) -> None:
    assert grade_ifeval(right, gold).status == "correct"
    assert grade_ifeval(wrong, gold).status == "wrong"


def test_all_25_functions_of_rlvr_ifeval_are_known() -> None:
    assert len(RLVR) == 25
    assert {kind for kind, _, _ in RLVR.values()} <= KINDS.keys()


@pytest.mark.parametrize(
    "gold",
    [
        rlvr("validate_word_constraint", quantifier="at most"),
        rlvr("verify_letter_frequency", letter="q"),
        rlvr("no_such_function"),
        "not json",
        "",
        None,
        42,
        [],
        {"instruction_id_list": [], "kwargs": []},
        {"instruction_id_list": ["punctuation:no_comma"], "kwargs": []},
        {"instruction_id_list": [WORDS], "kwargs": [{"num_words": 5}]},
    ],
)
def test_a_defective_row_is_a_gold_error(gold: Any) -> None:
    assert grade_ifeval("a response", gold).status == "gold_error"


def test_three_formats_give_the_same_instruction() -> None:
    flat = {"instruction_id_list": ["punctuation:no_comma", WORDS]}
    flat["kwargs"] = [{}, {"num_words": 3.0, "relation": "at least", "letter": None}]  # type: ignore[list-item]
    literal = str(
        [
            {
                "instruction_id": flat["instruction_id_list"],
                "kwargs": [None, {"num_words": 3, "relation": "at least"}],
            }
        ]
    )
    assert instructions(flat) == instructions(literal) == instructions(json.dumps(flat))
    assert instructions(flat)[1].arguments == {"num_words": 3, "relation": "at least"}


def test_the_loose_readings_are_the_papers_eight() -> None:
    assert loose_readings("*a\nb\nc*") == [
        "*a\nb\nc*",
        "b\nc*",
        "*a\nb",
        "b",
        "a\nb\nc",
        "b\nc",
        "a\nb",
        "b",
    ]


def test_strict_and_loose_and_shares() -> None:
    gold = {
        "instruction_id_list": ["startend:quotation", "punctuation:no_comma"],
        "kwargs": [{}, {}],
    }
    response = 'Sure, here it is:\n"a poem"'
    strict, loose = grade_ifeval(response, gold), grade_ifeval(response, gold, reading="loose")
    assert (strict.score, strict.acc, strict.status, strict.pred) == (0.0, 0.0, "wrong", "00")
    assert (loose.score, loose.acc, loose.status, loose.pred) == (1.0, 1.0, "correct", "11")
    assert strict.components == loose.components
    half = grade_ifeval('"a, b"', gold, scoring="share")
    assert (half.score, half.acc) == (0.5, 0.0)
    assert half.detail == "not followed: punctuation:no_comma"
    assert half.components["strict_share"] == 0.5


def test_only_what_follows_the_thinking_counts_where_asked() -> None:
    gold = rlvr("validate_no_commas")
    response = "<think>well, so</think>done"
    assert grade_ifeval(response, gold).status == "wrong"
    assert grade_ifeval(response, gold, after_think=True).status == "correct"
    assert grade_ifeval("<think>well so", gold, after_think=True).status == "unparseable"


def test_by_name_with_options_and_a_typo() -> None:
    reward = load_reward("ifeval", {"reading": "loose"})
    assert reward.judge("a", rlvr("validate_no_commas")).status == "correct"
    assert load_reward("ifeval", {"reading": "lose"}).judge("a", "x").status == "verifier_error"
