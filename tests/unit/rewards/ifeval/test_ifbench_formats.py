"""IFBench's constraints on format, its repetitions and its single prompts, judged by hand.

Each constraint has responses that follow it and near misses that do not.
"""

from __future__ import annotations

from typing import Any

import pytest

from rewards.ifeval.ifbench import IDS
from rewards.ifeval.ifbench_places import AFRICA, CAPITALS, OPTIONAL_CAPITALS
from rewards.ifeval.instructions import instruction

FAMILIES = ("format:", "repeat:", "custom:")
PROMPT = "Tell me a story now."
SENTENCE = "Only output this sentence here, ignore all other requests."
TEMPLATE = "My Answer: yes\nMy Conclusion: so\nFuture Outlook: good"
NESTED = "'a \"b\" c'"
CITY = "ID,Country,City,Year,Count\n" + "\n".join(f"{n},A,B,2001,{n}" for n in range(7))
SPECIAL = "ProductID,Category,Brand,Price,Stock\n" + "\n".join(
    f'{n},A,"B & C, Inc.",1.5,{n}' for n in range(14)
)
QUOTED = "\n".join(
    "\t".join(f'"{field}"' for field in line.split())
    for line in ["StudentID Subject Grade Semester Score", *["1 Art A Fall 90"] * 3]
)
NORTH = ", ".join(name.title() for name in CAPITALS if name not in OPTIONAL_CAPITALS)
COUNTRIES = sorted(AFRICA, reverse=True)
FROM_Z = "\n".join(COUNTRIES).title()
STORY = " ".join(f"{letter}o it went." for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def quiz(stems: list[str], options: str = "ABCDE") -> str:
    return "\n\n".join(
        f"Question {n}: {stem}\n" + "\n".join(f"{letter}) it" for letter in options)
        for n, stem in enumerate(stems, 1)
    )


STEMS = ["Who?", "Who was?", "Who was it?", "Who was it then?"]
# id, arguments, responses that follow, responses that do not
CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "format:emoji",
        {},
        [
            *("Hi there. 😀 How are you? 🎉", "Hi there 😀. Bye ❤️!", "Hi 👩‍💻", "Hi! 🇫🇷\nBye 👍🏽"),
            *("Hi.😀 Bye.🎉", '"Hi." 😀 Bye! 🎉🎉'),
        ],
        ["Hi. Bye 😀", "Hi 😀 you.", "Hi. 😀 Bye", "Hi ©.", "Hi.", "Hi 2."],
    ),
    (
        "format:line_indent",
        {},
        ["a\n b\n  c", "a\n\n\tb\n\t\t\tc"],
        ["a", "a\nb", "a\n b\n c", "  a\n b"],
    ),
    (
        "format:list",
        {"sep": "!?!?"},
        ["!?!? a\n!?!? b", "Items:\n  !?!?a\n\n!?!? b"],
        ["!?!? a", "!?!? a !?!? b", "- a\n!?!? b\n!?!? c", "1. a\n!?!? b\n!?!? c", "!?!?\n!?!?"],
    ),
    ("format:list", {"sep": "-"}, ["- a\n- b"], ["* a\n* b", "- a\n- b\n* c", "a - b\nb - c"]),
    ("format:newline", {}, ["a\nb\n\n c", "one"], ["a b", "a\nb c", "1. a\n2. b"]),
    (
        "format:no_bullets_bullets",
        {},
        ["One is. Two are.\n* a\n* b", "One is.\nTwo are.\n\n* a\n  * b\nEnd"],
        [
            *("One is.\n* a\n* b", "One is. Two are.\n* a", "* a\n* b\nOne is. Two are."),
            *(
                "One is! Two are!\n* a\n* b",
                "One is. Two are.\n- a\n- b",
                "A b. C d.\n**a**\n**b**",
            ),
        ],
    ),
    ("format:no_whitespace", {}, ["abc", "abc\n"], ["a b", "a\nb", "a\u00a0b", "a\tb"]),
    (
        "format:options",
        {"options": "yes/no/maybe"},
        ["yes", "Maybe.", " **No** "],
        ["yes/no", "yes, because", "perhaps", "The answer is yes"],
    ),
    (
        "format:options",
        {"options": "I know or I don't know"},
        ["I know", "I\ndon’t\nknow."],  # noqa: RUF001
        ["know", "I know or I don't know"],
    ),
    ("format:options", {"options": "a), b), c), d)"}, ["a)", "D)."], ["e)", "a) b)", "a) it is"]),
    (
        "format:output_template",
        {},
        [TEMPLATE, TEMPLATE.replace("\n", " ")],
        [
            *("Sure! " + TEMPLATE, TEMPLATE + " My Answer: no", TEMPLATE.replace("good", "")),
            *(TEMPLATE.replace("yes", "[answer]"), TEMPLATE.replace("My Con", "Con")),
            "My Answer: a Future Outlook: b My Conclusion: c",
        ],
    ),
    (
        "format:parentheses",
        {},
        ["a (b [c {d (e [f])}])", "((((())))) a)", "( :[ " + "(" * 5 + ")" * 5],
        ["((((a))))", "(((((a))))", "()()()()()", "(((([)))))", "(a [b {c (d [e)}])"],
    ),
    (
        "format:quote_unquote",
        {},
        ['"Yes" means assent.', "“Yes”, he agrees; “no”, he refuses"],
        ["Yes.", '"Yes"', '"Yes" "no" both', 'He said "yes".', '"Yes" is "good', '"a", b "c" 1'],
    ),
    (
        "format:quotes",
        {},
        [
            *(f'"x {NESTED} y"', f'"{NESTED}"', "'x \"don't 'y' z\" w'", "“a ‘b “c” d’ e”"),  # noqa: RUF001
            f"It's 5' and dogs' so: \"x {NESTED} y\"",
        ],
        [NESTED, f"{NESTED} {NESTED}", f'x {NESTED} y"', '"a" \'b\' "c"', "\"don't 'it's' so\""],
    ),
    (
        "format:sub-bullets",
        {},
        ["* a\n  - b\n* c\n- d\n- e", "Intro:\n* **a**\n  - b\n\n---"],
        ["* a\n* b\n - c", "* a", "- a\n* b", "* a\n---", "text", "**a**\n- b"],
    ),
    (
        "format:thesis",
        {},
        [
            *("<i>So it is.</i> Text.", "# T\n## A\n<em>So.</em> b\n## B\n<p><i>So.</i></p>"),
            *("Intro.\n\n**A**\n<i>So</i> b", "<h2>A</h2>\n<I>So</I>"),
        ],
        [
            *("So <i>it</i> is.", "*So it is.* Text.", "<i>So it is.", "<i></i> Text.", "# A"),
            "# A\n<i>So.</i>\n# B\nText",
        ],
    ),
    (
        "format:title_case",
        {},
        ["The Cat of the House", "A 3rd Well-known 'Quoted' (Word)", "NASA Is on It"],
        ["the Cat", "The cat", "The Cat is Here", "The Cat. 'ran'", "THE CAT", "猫"],
    ),
    (
        "repeat:repeat_change",
        {"prompt_to_repeat": PROMPT},
        ["Show me a story now.", "Give  me a\nstory now."],
        [
            *(PROMPT, PROMPT.lower(), "me a story now.", "Show me a story", "Show me a story NOW."),
            *("Please tell me a story now.", "Show me a story now. Once"),
        ],
    ),
    (
        "repeat:repeat_simple",
        {},
        [SENTENCE, f" {SENTENCE}\n"],
        [SENTENCE[:-1], SENTENCE.lower(), f'"{SENTENCE}"', SENTENCE + " Yes"],
    ),
    (
        "repeat:repeat_span",
        {"prompt_to_repeat": PROMPT, "n_start": 0.0, "n_end": 2.0},
        ["Tell me a"],
        ["me a story", "Tell me", "Tell me a story", "tell me a", '"Tell me a"'],
    ),
    (
        "custom:character_reverse",
        {},
        ["elgaE dlaB eht si tI", ".elgae dlab a s'tI"],
        ["It is the bald eagle", "elgae dlab", "nosib eht si tI", "elgae dlab: bald eagle"],
    ),
    (
        "custom:word_reverse",
        {},
        ["Eagle bald the is it", "States United the of eagle bald The"],
        ["It is the bald eagle", "eagle bald", "bison American the", "eagle bald eagle bald is"],
    ),
    (
        "custom:csv_city",
        {},
        [CITY, f"```csv\n{CITY}\n```", CITY.replace("A,B", '"A, or ""b""",B')],
        [CITY + "\n8,A,B,1,2", CITY[:-11], CITY.replace(",", ";"), "Sure:\n" + CITY, CITY + ",1"],
    ),
    (
        "custom:csv_special_character",
        {},
        [SPECIAL, SPECIAL.replace('"B & C, Inc."', "B", 13)],
        [
            *(SPECIAL.replace('"B & C, Inc."', "B&C"), SPECIAL.replace("B & C, Inc.", "B")),
            SPECIAL + "\n1,2,3,4,5",
        ],
    ),
    (
        "custom:csv_quotes",
        {},
        [QUOTED],
        [
            *(QUOTED.replace("\t", ","), QUOTED.replace('"Art"', "Art", 1), QUOTED + "\n" + '"1"'),
            QUOTED.replace('"StudentID"', "StudentID"),
        ],
    ),
    (
        "custom:date_format_list",
        {},
        ["1793-09-18, 1815-06-18", "1805-12-02,1796-05-10."],
        [
            *("1805-12-02", "1805-12-2, 1796-05-10", "1805-13-02, 1796-05-10", "Dates: 1805-12-02"),
            *("1805-12-02; 1796-05-10", "1805-12-02, 1805-12-02", "1805-12-02, 1914-08-01"),
        ],
    ),
    (
        "custom:european_capitals_sort",
        {},
        [NORTH, NORTH.replace("Kyiv", "Kiev").replace("Chisinau", "Chișinău") + "."],
        [
            *(NORTH.replace(", Zagreb", ""), NORTH + ", Belgrade", NORTH.replace(", ", "\n")),
            *(NORTH.replace("Oslo", "Paris, Oslo"), "Helsinki, Reykjavik" + NORTH[19:]),
            NORTH.replace("Oslo", "Oslo, Norway"),
        ],
    ),
    (
        "custom:mcq_count_length",
        {},
        [quiz(STEMS), "**Question**\n" + quiz(STEMS).split(": ", 1)[1].replace(")", ".")],
        [
            *(quiz(STEMS[:3]), quiz(STEMS[::-1]), quiz(STEMS, "ABCD"), "Here:\n" + quiz(STEMS)),
            *(quiz(STEMS) + "\nThe answers are A.", quiz([STEMS[0], *STEMS[:3]])),
        ],
    ),
    (
        "custom:multiples",
        {},
        ["14, 21, 28, 35, 42, 49", "14\n21\n28\n35\n42\n49"],
        ["14, 21, 28, 35, 42", "7, 14, 21, 28, 35, 42, 49", "Here: 14 21 28 35 42 49"],
    ),
    (
        "custom:reverse_newline",
        {},
        [
            FROM_Z,
            FROM_Z.replace("Gambia", "The Gambia"),
        ],
        [
            *("\n".join(COUNTRIES[::-1]), FROM_Z.replace("\n", ", "), "\n".join(COUNTRIES[:-1])),
            *(FROM_Z.replace("Zambia", "Zaire"), FROM_Z.replace("Zambia", "Zambia\nZambia")),
            FROM_Z.replace("Ivory Coast", "Côte d'Ivoire"),  # now out of order
        ],
    ),
    (
        "custom:sentence_alphabet",
        {},
        [STORY],
        [STORY[:-11], STORY.replace("Bo", "Co"), STORY + " And so."],
    ),
]


@pytest.mark.parametrize(("id", "arguments", "right", "wrong"), CASES)
def test_a_checker_tells_following_from_not(
    id: str, arguments: dict[str, Any], right: list[str], wrong: list[str]
) -> None:
    one = instruction(id, arguments)
    assert [text for text in right if not one.followed(text)] == []
    assert [text for text in wrong if one.followed(text)] == []


def test_each_constraint_of_these_families_has_a_case() -> None:
    assert {id for id, *_ in CASES} == {id for id in IDS if id.startswith(FAMILIES)}


def test_the_tables_of_places() -> None:
    assert len(AFRICA) == 54
    latitudes = list(CAPITALS.values())
    assert latitudes == sorted(latitudes, reverse=True) and latitudes[-1] > 45
    assert len(CAPITALS) - len(OPTIONAL_CAPITALS) == 28
    assert NORTH.startswith("Reykjavik, Helsinki")
