"""The `format`, `tags` and `language` rewards, on responses judged by hand.

1. Format: the whole response has the form, or not; a form within a longer text does not count.
2. Tags: a share for each tag that stands there once.
3. Language: the share of words in the target language; what is no language is left out.
"""

from __future__ import annotations

import pytest

from rewards.format import grade_format, grade_tags
from rewards.language import consistency, grade_language, words
from rewards.language_id import _detect, code_of, detect, languages
from rewards.registry import load_reward

GOOD = "<think>a\nb</think>\n<answer>4</answer>"


@pytest.mark.parametrize("response", [GOOD, f"\n {GOOD} \n", GOOD.replace("\n<", "<")])
def test_the_form(response: str) -> None:
    verdict = grade_format(response, None)
    assert (verdict.score, verdict.acc, verdict.status) == (1.0, 1.0, "correct")


@pytest.mark.parametrize(
    "response",
    [
        "",
        "4",
        f"Sure: {GOOD}",
        f"{GOOD} Bye",
        f"{GOOD}\n{GOOD}",
        f"Text\n{GOOD}\nText",  # each tag at a line's edge: MULTILINE would take it
        "<think>a</think> so <answer>4</answer>",
        "<answer>4</answer><think>a</think>",
        "<think>a<answer>4</answer></think>",
        "<think>a</think><answer>4",
        "<think></think><answer>4</answer>",
        "<think>a</think><answer> </answer>",
        "<think>a<think>b</think><answer>4</answer>",
        "<THINK>a</THINK><answer>4</answer>",
    ],
)
def test_not_the_form(response: str) -> None:
    verdict = grade_format(response, None)
    assert (verdict.score, verdict.status) == (0.0, "wrong")
    assert verdict.detail


def test_format_options() -> None:
    opened = GOOD.removeprefix("<think>")
    assert grade_format(opened, None, opened=True).acc == 1.0
    assert grade_format(GOOD, None, opened=True).acc == 0.0
    assert grade_format(opened, None).acc == 0.0
    assert grade_format("<think></think><answer>4</answer>", None, empty_allowed=True).acc == 1.0
    assert grade_format("<a>x</a>", None, tags=["<a>", "</a>"]).acc == 1.0
    for tags in ([], ["<a>"], ["<a>", "<a>"], ["<a>", ""]):
        assert load_reward("format", {"tags": tags}).judge(GOOD, None).status == "verifier_error"


@pytest.mark.parametrize(
    ("response", "score", "acc"),
    [
        (GOOD, 1.0, 1.0),
        (f"Text {GOOD} text", 1.0, 1.0),
        ("<answer>4</answer><think>a</think>", 1.0, 0.0),
        ("<think>a</think>4", 0.5, 0.0),
        ("<think>a<think>b</think><answer>4</answer>", 0.75, 0.0),
        ("<answer>" * 100, 0.0, 0.0),
        ("", 0.0, 0.0),
    ],
)
def test_tags(response: str, score: float, acc: float) -> None:
    verdict = grade_tags(response, None)
    assert (verdict.score, verdict.acc) == (score, acc)


def test_tags_where_the_prompt_opened_the_first() -> None:
    assert grade_tags(GOOD.removeprefix("<think>"), None, opened=True).score == 1.0
    assert grade_tags(GOOD, None, opened=True).score == 0.75


ENGLISH = "This is a plain English sentence about the weather of today."
FRENCH = "Ceci est une phrase française tout à fait ordinaire sur le temps."


@pytest.mark.parametrize(
    ("text", "code", "share"),
    [
        (ENGLISH, "en", 1.0),
        (FRENCH, "fr", 1.0),
        (FRENCH, "en", 0.0),
        (f"{ENGLISH}\n{FRENCH}", "en", 11 / 23),
        ("你好 world", "zh", 2 / 3),
        ("你好 world", "ja", 2 / 3),  # Han is Japanese too
        ("これは日本語です", "zh", 3 / 8),  # 日本語 are Han
        ("Привет, мир", "el", 0.0),
        ("สวัสดี", "th", 1.0),
        ("नमस्ते दुनिया", "hi", 1.0),
        ("안녕하세요 세계 hello", "ko", 2 / 3),
        (f"{ENGLISH} `你好` $你$ ```\n你好\n```", "en", 1.0),
        ("12 + 3 = 15", "en", None),
        ("", "en", None),
        (FRENCH, "French", 1.0),
    ],
)
def test_share(text: str, code: str, share: float | None) -> None:
    assert consistency(text, code) == (share if share is None else pytest.approx(share))


@pytest.mark.parametrize(
    ("line", "count"),
    [
        *(("don't l’eau well-known", 3), ("Füße", 1), ("ab12cd 3 4", 2), ("नमस्ते दुनिया", 2)),  # noqa: RUF001
        *(("日本語", 3), ("スーパー", 4), ("ＡＢ", 1), ("a日b", 3), ("안녕하세요", 1), ("", 0)),  # noqa: RUF001
    ],
)
def test_words_of_a_line(line: str, count: int) -> None:
    assert len(words(line)) == count


def test_language_reward() -> None:
    mixed = grade_language(f"{ENGLISH}\n你好", None, language="en")
    assert mixed.score == pytest.approx(11 / 13) and mixed.acc == 0.0
    assert grade_language(f"{ENGLISH}\n你好", None, language="en", threshold=0.8).acc == 1.0
    assert grade_language("123", None, language="en").status == "unparseable"
    reward = load_reward("language")
    assert reward.judge(ENGLISH, None, {"language": "en"}).acc == 1.0
    unknown = reward.judge(ENGLISH, None, {"language": "xx"})
    assert unknown.status == "verifier_error" and "no language 'xx'" in unknown.detail


def test_detection_is_the_same_each_time_and_reads_capitals() -> None:
    assert len(languages()) == 55
    assert (code_of("Kannada"), code_of("kn"), code_of("Klingon")) == ("kn", "kn", None)
    assert detect(ENGLISH.upper()) == "en"
    assert detect("12 34") is None
    short = ["ok", "la casa", "die", "no problem", "sí"]
    first = [detect(text) for text in short]
    _detect.cache_clear()
    assert [detect(text) for text in short] == first
