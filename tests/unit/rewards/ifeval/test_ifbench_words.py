"""IFBench's constraints on words, sentences, counts and shares, on responses judged by hand.

1. Each constraint has responses that follow it and near misses that do not.
2. What a word, a sentence, a kind of sentence and a syllable is.
"""

from __future__ import annotations

from typing import Any

import pytest

from rewards.ifeval.ifbench import IDS
from rewards.ifeval.ifbench_syllables import syllables
from rewards.ifeval.ifbench_text import folded, kind_of, lettered, sentences, words
from rewards.ifeval.ifbench_words import is_verb
from rewards.ifeval.instructions import instruction

FAMILIES = ("count:", "ratio:", "sentence:", "words:")
KEYWORDS = {"keyword1": "a", "keyword2": "b", "keyword3": "c", "keyword4": "d", "keyword5": "e"}
SEVENS = "a b b c c c d d d d d e e e e e e e"
ALL_MARKS = 'Well, "it\'s" (all) well-known; see: stop. Go! Why? Really?!'
TEN = "level radar civic kayak rotor refer madam tenet rotator racecar"
# id, arguments, responses that follow, responses that do not
CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "count:conjunctions",
        {"small_n": 3.0},
        ["This and that, but not so.", "For or YET"],
        ["and and but And but", "land, butter, order, soy"],
    ),
    (
        "count:keywords_multiple",
        KEYWORDS,
        [SEVENS, SEVENS.upper() + " ab"],
        [SEVENS + " a", SEVENS[:-2], SEVENS.replace("c c", "c cc")],
    ),
    (
        "count:numbers",
        {"N": 2.0},
        ["In 1990s, 3.14!", "1,000 and 2nd", "10:30", "-5 and 6%", "GPT4, H2O: 7, COVID-19"],
        ["1", "1/2/3", "one two", "v1.2 of GPT4"],
    ),
    (
        "count:person_names",
        {"N": 2.0},
        ["Emma's friend is Liam.", "Emma, Mia and Bob"],
        ["Emma and Emma", "Emma and liam", "Emma and Bob", "Emmanuel, Liam"],
    ),
    (
        "count:pronouns",
        {"N": 3.0},
        ["I told her what.", "it's his, they'd", "He he he"],
        ["I told her that this is one.", "The US, IT and i"],
    ),
    (
        "count:punctuation",
        {},
        [ALL_MARKS, ALL_MARKS.replace("?!", "‽").replace("-", " – ")],
        [
            ALL_MARKS.replace(sign, "")
            for sign in (",", '"', "'", "(", ")", "-", ";", ":", ".", "?!")
        ]
        + [ALL_MARKS.replace("!", "", 1), ALL_MARKS.replace("Why?", "Why")],
    ),
    ("count:unique_word_count", {"N": 3.0}, ["a b c", "A a b, c"], ["a A b b", "- * 😀 a b"]),
    (
        "count:word_count_range",
        {"min_words": 2.0, "max_words": 3.0},
        ["one two", "don't over-do it", "- one\n- two", "<p>one</p><p>two</p>"],
        ["one", "one two three four", "one - * 😀"],
    ),
    (
        "count:words_japanese",
        {"N": 2.0},
        ["one 猫 three ネコ。", "one ねこ", "猫 猫 猫 猫"],
        ["one", "one two", "one 猫 three four", "one nekoねこ", "one 2"],
    ),
    (
        "ratio:overlap",  # 4 trigrams, one of them of the reference
        {"reference_text": "The cat sat down.", "percentage": 25.0},
        ["the CAT sat on a mat"],
        ["the cat sat", "the cat sat on a", "on a mat it lay", "the cat"],
    ),
    (
        "ratio:overlap",  # 1 of 4 is 25, of 27 ± 2 but not of 28 ± 2
        {"reference_text": "The cat sat down.", "percentage": 27},
        ["the cat sat on a mat"],
        ["the cat sat on a mat now"],
    ),
    (
        "ratio:overlap",
        {"reference_text": "The cat sat down.", "percentage": 28},
        ["the cat sat down on a mat there it"],
        ["the cat sat on a mat"],
    ),
    (
        "ratio:sentence_balance",
        {},
        ["It is. Is it? It is!", "Oh! No! So? Why? It is. It was."],
        ["It is. Is it?", "It is.", "It is. Is it? It is! Yes!"],
    ),
    (
        "ratio:sentence_type",
        {},
        ["It is. It was. Is it?", "It is. Wow! It was. Is it?!"],
        ["It is. Is it?", "It is. It was.", "A b. C d. E f. G h? I j?", "Oh! Oh! Is it?"],
    ),
    (
        "ratio:sentence_words",
        {},
        ["Cats run.\n Dogs nap.\n  Bees hum.", "It is. We go? Us 2!!"],
        ["Cats run. Dogs nap.", "Cats run. Dogs nap. Men row.", "Cats run. Cats nap. Bees hum."],
    ),
    (
        "ratio:stop_words",  # of 4 words
        {"percentage": 50.0},
        [
            "the cat and dog",
            "don't stop cats' tails",
            "big red cats run",
            "it's theirs: dog's bones",
        ],
        ["the cat and I", "it's not dogs"],
    ),
    (
        "sentence:alliteration_increment",
        {},
        ["A cat. Big bears. Cool cats can run.", "One two. Two tiny. Many mice may meet."],
        ["Big bears.", "Big bears. Cool cats.", "Big bears. A cat.", "A cat. A dog."],
    ),
    (
        "sentence:increment",
        {"small_n": 2.0},
        ["One. One two three. One two three four five.", "1. One.\n2. One two three."],
        ["One.", "One. One two.", "One. One two three. One two three four."],
    ),
    (
        "sentence:keyword",
        {"word": "angora", "N": 2.0},
        ["One. An Angora! Three.", "One. So: angora"],
        ["Angora. Two.", "angora", "One. Angoras. Angora."],
    ),
    (
        "words:alphabet",
        {},
        ["Yes, zebra, a bee can", "A 7 big", "é f"],
        ["a", "a c", "a b b", "b a", "7 8", "a b 3c", "ж з"],
    ),
    (
        "words:consonants",
        {},
        ["This 12 black strength", "they say-st"],
        ["This is", "12", "try again", "eye"],
    ),
    (
        "words:keywords_specific_position",
        {"keyword": "slowly", "n": 2, "m": 3},
        ["One two. He went Slowly, home.", "A. - b, c; slowly"],
        ["One two. He slowly went.", "One two slowly.", "He went slowly. So"],
    ),
    (
        "words:last_first",
        {},
        ["I like cats. Cats like me! Me, too.", 'See "it". It is.'],
        ["I like cats.", "I like cats. They do.", "A b. B c. D e."],
    ),
    ("words:no_consecutive", {}, ["a big cat", "one", "Al 5 bob"], ["a Apple", "Big 5 bob", "é e"]),
    (
        "words:odd_even_syllables",  # 1 2 3 2 · 2 1
        {},
        ["The table tomorrow being", "Table time", "Time quiet time"],
        ["The time", "time", "The table being", "Tomorrow the table", "猫 ねこ"],
    ),
    (
        "words:palindrome",
        {},
        [TEN, "(Level), *radar*. " + TEN[12:]],
        [TEN[:-8], TEN[:-8] + " level", TEN[:-8] + " noon", TEN[:-8] + " aaaaa 12321"],
    ),
    (
        "words:paragraph_last_first",
        {},
        ["Cats like cats.\n\nDogs, too: dogs!", "Yes or yes?"],
        ["Cats like cats.\nDogs like cats.", "Cats like cats.\n***"],
    ),
    (
        "words:prime_lengths",  # 2 3 5 7
        {},
        ["My cat licks bananas?", "1234 so I'm aren't-it"],
        ["A cat", "this", "don't", "1234"],
    ),
    ("words:repeats", {"small_n": 2.0}, ["a A b", "a b"], ["a A a", "don't don’t Don't"]),  # noqa: RUF001
    (
        "words:start_verb",
        {},
        [
            "Write it.",
            "**Imagine** it",
            "Is it?",
            "Don't go",
            "Let's go",
            "Planning is hard",
            "Based on",
        ],
        ["The end", "Plans", "To go", "Thing", "Red cats", "猫"],
    ),
    (
        "words:vowel",
        {},
        ["The cat sits by", "Cats sit then\nhide"],
        ["The cat sits on", "The cat", "The cat\n\nsits", "12"],
    ),
    (
        "words:words_position",
        {"keyword": "despite"},
        ["So, despite it, and despite all.", "a Despite! b"],
        ["despite a b despite c", "a despite", "a despite b c d", "a b c despite e"],
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


def test_what_a_word_is() -> None:
    assert words('- Don\'t "stop" — well-known… e.g. 3.14 😀 *') == [
        *("Don't", "stop", "well-known", "e.g", "3.14"),
    ]
    assert words("<p>H<sub>2</sub>O</p><p>a < b</p> _so_ wait...what") == [
        *("H2O", "a", "b", "so", "wait", "what"),
    ]
    assert folded("Don’t") == ["don't"]  # noqa: RUF001
    assert lettered("Été 12 3rd") == ["ete", "3rd"]


def test_what_a_sentence_is() -> None:
    assert sentences("1. One is. \n2. Two are!\n* <i>So, three.</i> 😀 - Four") == [
        *("One is.", "Two are!", "So, three.", "😀 - Four"),
    ]
    assert sentences("😀 … *") == []
    assert sentences("# A b\n\n**C d:**\nOne is.\n## Is it?\n<h2>E</h2>\n**Bold is.** So") == [
        *("One is.", "Is it?", "**Bold is.**", "So"),
    ]
    assert [kind_of(one) for one in ("So.", 'So?"', "So?!", "So! 😀", "So", '"No!" he said.')] == [
        *("declarative", "interrogative", "interrogative", "exclamatory"),
        *("declarative", "declarative"),
    ]


@pytest.mark.parametrize(
    ("count", "known", "either"),
    [
        (
            1,
            "the time walked whole each fire don't can't league true field rules tried eye fruit "
            "while asked voice bridge were",
            "queue clothes they're",
        ),
        (
            2,
            "table being going trying houses wanted handled rhythm nation special patient region "
            "beyond player people careful homeless safely didn't prism today argue changes agreed",
            "quiet poem fluid cruel chaos science movement something business",
        ),
        (3, "animal important computer president together argument", "media idea family memory"),
        (4, "information especially environment community population", "society reality"),
    ],
)
def test_syllables(count: int, known: str, either: str) -> None:
    found = {word: syllables(word) for word in (known + " " + either).split()}
    assert {word: n for word, n in found.items() if not n or not n.least <= count <= n.most} == {}
    assert [word for word in known.split() if found[word] != (count, count)] == []


def test_spelling_says_nothing_of_digits_or_other_scripts() -> None:
    assert [syllables(word) for word in ("3rd", "猫", "-", "a" * 99)] == [None] * 4
    assert syllables("well-known") == (2, 2)


def test_forms_of_verbs() -> None:
    for word in ("running", "tried", "making", "stopped", "walks", "quantify", "said"):
        assert is_verb(word) == (word != "walks")
    assert not any(map(is_verb, ("king", "red", "ing", "bed", "evening", "size", "")))
