"""Filters on the form of texts: markup, endings, emptiness, repetition, pairs, length."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from data_prep.filters.degenerate import Degenerate
from data_prep.filters.endings import CutEnding
from data_prep.filters.length import Length
from data_prep.filters.markup import BrokenMarkup, split_fences
from data_prep.filters.pairs import Pairs, similarity
from data_prep.filters.repetition import Repetition, again_share, loop, top_share

F = "```"


def reason(filter_, row) -> str | None:
    (found,) = filter_.judge([row])
    return None if found is None else found.reason


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (r"So $\frac{1}{2}$ and \[x^2\] and \(y\).", None),
        (r"So $\frac{1}{2 is it", "latex_unbalanced"),
        (r"So $\frac{1}{2} is it", "latex_unbalanced"),
        (r"So \(x + 1 is it", "latex_unbalanced"),
        (r"So x + 1\] is it", "latex_unbalanced"),
        (r"\begin{align*} a &= b \\ c &= d \end{align*}", None),
        (r"\begin{align*} a &= b \end{aligned}", "latex_unbalanced"),
        (r"\begin{cases} 1 \\ 2", "latex_unbalanced"),
        (r"The answer is \boxed{42", "latex_unbalanced"),
        (r"The set \{1, 2\} is \text{open}.", None),
        ("It costs $5 and then $3.50 more, so $8.50.", None),
        ("It costs $5.", None),
        (r"It costs \$5 and $x$ is \$3.", None),
        (r"Pay $5, where $\alpha$ is small.", None),
        ("$$x = 1", "latex_unbalanced"),
        (f"{F}python\nprint('$x \\frac{{')\n{F}\nDone.", None),
        (f"{F}python\nprint(1)\n", "fence_open"),
        (f"{F}\na\n{F}\nand {F}\nb", None),
        (f"~~~\n{F}\n~~~", None),
        (f"````\n{F}\nx\n````", None),
        ("Use `a $\\frac{` here.", None),
        (f'{F}json\n{{"a": 1}}\n{F}', None),
        (f'{F}json\n{{"a": 1,}}\n{F}', "json_broken"),
        ('{"a": [1, 2]}', None),
        ('{"a": [1, 2}', "json_broken"),
        ("{x | x > 1} is a set.", None),
        ("[citation needed]", None),
    ],
)
def test_markup(make, answer: str, wanted: str | None) -> None:
    assert reason(BrokenMarkup(), make.sft("Tell me.", answer)) == wanted


def test_markup_of_prompts_tool_arguments_and_options(make) -> None:
    assert reason(BrokenMarkup(), make.rl(r"Find \frac{1}{2")) == "latex_unbalanced"
    assert reason(BrokenMarkup(latex=False), make.rl(r"Find \frac{1}{2")) is None
    assert reason(BrokenMarkup(), make.pair("fine", f"{F}\nopen")) == "fence_open"
    call = {"function": {"name": "f", "arguments": '{"a": '}}
    row = make.sft("q", "a")
    row["messages"].append({"role": "assistant", "content": "", "tool_calls": [call]})
    assert reason(BrokenMarkup(), row) == "json_broken"


def test_fences_are_taken_out() -> None:
    prose, blocks, is_open = split_fences(f"a\n{F}py\nb\n{F}\nc")
    assert (prose, blocks, is_open) == ("a\nc", [("py", "b")], False)


@pytest.mark.parametrize(
    ("answer", "is_cut"),
    [
        ("The answer is 42", False),
        ("It is over.", False),
        ("We first take the sum of all of", True),
        ("There are three things here: one, two,", True),
        ("and then she said (", True),
        ("Yes", False),
        ("- first\n- second", False),
        (f"Here it is:\n{F}\nx = (\n{F}", False),
        ("See https://a.b/c", False),
        ("A day at the sea #sun #beach", False),
        ("one " * 30 + "word", True),
        ("one " * 10 + "word", False),
        ("She asked me what it was for", False),
        ("total = sum(a,", False),
    ],
)
def test_endings(make, answer: str, is_cut: bool) -> None:
    assert (reason(CutEnding(), make.sft("Tell me.", answer)) == "cut_ending") is is_cut


def test_the_generator_itself_may_say_that_it_was_cut(make) -> None:
    row = make.sft("Tell me.", "Done.")
    row["extra_info"]["finish_reason"] = "length"
    assert reason(CutEnding(), row) == "cut_ending"
    row["extra_info"]["finish_reason"] = "stop"
    assert reason(CutEnding(), row) is None


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("4", None),
        ("\U0001f600", None),
        ("", "empty_answer"),
        ("  \n", "empty_answer"),
        ("......", "no_words"),
        ("N/A", "placeholder"),
        ("[insert answer here]", "placeholder"),
        ("undefined", "placeholder"),
        ("None of these numbers is prime.", None),
        ("Name the capital of France now.", "echo"),
        ("It\u00c3\u00a9 caf\u00c3\u00a9 na\u00c3\u00afve \u00c3\u00bcber", "mojibake"),
        ("\ufffd\ufffd lost", "mojibake"),
        ("caf\u00e9 na\u00efve \u00fcber", None),
    ],
)
def test_degenerate_answers(make, answer: str, wanted: str | None) -> None:
    row = make.sft("Name the capital of France now.", answer)
    assert reason(Degenerate(), row) == wanted


def test_degenerate_rows(make) -> None:
    assert reason(Degenerate(), make.rl(" ")) == "empty_prompt"
    assert reason(Degenerate(), make.rl("q", None)) == "empty_answer"
    assert reason(Degenerate(), make.rl("q", "-")) is None
    assert reason(Degenerate(), make.pair("good", "")) == "empty_answer"
    assert reason(Degenerate(), {"messages": [{"role": "user", "content": "q"}]}) == "empty_answer"


def test_a_loop_at_the_end() -> None:
    assert loop(["a", "b", "c", "d", "e"], 3) is None
    assert loop(["x", *("no",) * 16], 5) == (1, 16)
    assert loop(["x", *("go", "on", "now") * 6], 5) == (3, 6)
    assert loop(["x", *("go", "on", "now") * 3], 5) is None


def test_shares_by_hand() -> None:
    words = ["aa", "bb", "aa", "bb", "cc", "dd"]
    assert top_share(words, 2) == pytest.approx(8 / 12)  # "aa bb" twice
    assert again_share(words, 2) == pytest.approx(4 / 12)  # its second coming
    assert top_share(["aa", "bb", "cc"], 2) == 0.0
    # Repeats that overlap count each word once: the four later "a"s of five.
    assert again_share(["a"] * 5, 2) == pytest.approx(4 / 5)


def test_repetition(make) -> None:
    sentence = "the quick brown fox jumps over the lazy dog near the old river bank. "
    varied = " ".join(f"w{i}" for i in range(150))
    assert reason(Repetition(), make.sft("q", varied)) is None
    assert reason(Repetition(), make.sft("q", "Well, " + sentence * 9)) == "loop"
    parts = [sentence + " ".join(f"v{i}{j}" for j in range(4)) for i in range(9)]
    assert reason(Repetition(), make.sft("q", " ".join(parts))) == "repeated_ngrams"
    lines = "\n".join(
        [*(f"line number {i} says {i * i}" for i in range(10)), *["same old line"] * 40]
    )
    assert reason(Repetition(), make.sft("q", lines + "\nend of it all here")) == "repeated_lines"
    assert reason(Repetition(), make.rl(sentence * 9)) is None


def test_pairs(make) -> None:
    long = " ".join(f"step{chr(97 + i)} is easy" for i in range(20)) + " "
    assert reason(Pairs(), make.pair("a b c", "x y z")) is None
    assert reason(Pairs(), make.pair("", "x")) == "pair_empty"
    assert reason(Pairs(), make.pair("You're welcome!", "You're welcome!")) == "pair_equal"
    assert reason(Pairs(), make.pair("a  b\n", "a b")) == "pair_equal"
    assert reason(Pairs(), make.pair("You're welcome!", "You\u2019re welcome.")) == "pair_near"
    assert reason(Pairs(), make.pair(long + "yes", long + "no")) == "pair_near"
    assert reason(Pairs(), make.pair(long + "41", long + "42")) is None
    assert reason(Pairs(near=1), make.pair(long + "yes", long + "no")) is None
    assert reason(Pairs(), make.sft("q", "")) is None


def test_similarity_by_hand() -> None:
    assert similarity("a b c d", "a b c e") == pytest.approx(1 / 3)  # abc of abc, bcd, bce
    assert similarity("a", "a b") == pytest.approx(1 / 2)


def test_length_in_words_and_characters(make) -> None:
    row = make.sft("one two", "three four five")
    assert reason(Length(unit="words", maximum=5), row) is None
    assert reason(Length(unit="words", maximum=4), row) == "too_long"
    assert reason(Length(unit="characters", minimum=100), row) == "too_short"
    assert reason(Length(unit="words", min_answer=4), row) == "answer_too_short"
    assert reason(Length(unit="words", max_answer=2), row) == "answer_too_long"
    assert reason(Length(unit="words", maximum=2), make.rl("one two", "ten " * 9)) is None


def test_tokens_are_never_guessed() -> None:
    with pytest.raises(ValidationError, match="tokens need tokenizer="):
        Length(maximum=5)
    with pytest.raises(ValidationError, match="below minimum"):
        Length(unit="words", minimum=5, maximum=4)
