"""Inspection of a file.

1. The same file and seed show the same rows and give the same page; another seed, others.
2. Samples are drawn evenly, pass rates have Wilson's interval, clusters are the planted ones.
3. The page needs nothing else, escapes what the data say, and renders their formulas.
4. Without a tokenizer words are called words; with one, the loss falls on the assistant's turns.
"""

from __future__ import annotations

import html.parser
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data_prep.inspect import inspect, main
from data_prep.inspection.mathml import mathml, with_maths
from data_prep.inspection.page import page
from data_prep.inspection.sample import Rate, Sample, histogram, survey
from data_prep.inspection.show import view

META = {"source": "s", "licence": "MIT", "split": "train"}


def sft(n: int, question: str = "", answer: str = "") -> dict[str, Any]:
    turns = [
        {"role": "user", "content": question or f"What is the capital of country number {n}?"},
        {"role": "assistant", "content": answer or f"It is city number {n}, on river {n * 7}."},
    ]
    return {"messages": turns, "id": f"s/{n}", "index": str(n), **META}


def put(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    story = "The old lighthouse keeper counted forty ships before the storm"
    planted = [sft(100 + n, f"{'Once' if n else 'Then'} {story}.") for n in range(3)]
    for one in planted:
        one["messages"][1]["content"] = "A long day it was for all of them, and for him as well."
    return put(tmp_path / "sft_train.jsonl", [*(sft(n) for n in range(100)), *planted])


def test_the_seed_decides(rows: Path, tmp_path: Path) -> None:
    first = inspect(rows, html=str(tmp_path / "a.html"), seed=3, samples=4)
    again = inspect(rows, html=str(tmp_path / "b.html"), seed=3, samples=4)
    other = inspect(rows, html=str(tmp_path / "c.html"), seed=4, samples=4)
    assert first == again and first != other
    pages = [(tmp_path / f"{name}.html").read_bytes() for name in "abc"]
    assert pages[0] == pages[1] != pages[2]


def test_samples_are_drawn_evenly(rows: Path) -> None:
    times = Counter(
        one.number
        for seed in range(120)
        for one in survey(rows, seed=seed, samples=10, most=1).samples
    )
    # 1,200 draws of 103 rows: 11.7 each, standard deviation 3.3; past 5 of these is no chance.
    assert sum(times.values()) == 1200
    assert max(times.values()) < 28 and len(times) > 98


def test_the_interval_is_wilsons() -> None:
    # 8 of 10: (0.4902, 0.9433), as in Brown, Cai and DasGupta's tables of the score interval.
    assert Rate(8, 10).interval == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert Rate(50, 50).interval == pytest.approx((0.92865, 1.0), abs=1e-4)
    assert Rate(0, 0).interval == (0.0, 1.0)


def test_planted_near_duplicates_are_one_cluster(rows: Path) -> None:
    found = survey(rows, samples=0)
    assert [ids for ids, _ in found.clusters] == [["s/100", "s/101", "s/102"]]
    assert found.rates["near_duplicates"] == Rate(101, 103)


def test_what_is_wrong_is_flagged(tmp_path: Path) -> None:
    broken = sft(1, answer="It begins so:\n```python\nprint(1)")
    path = put(tmp_path / "a.jsonl", [sft(0), {**broken, "enable_thinking": "none"}])
    found = survey(path, samples=2)
    assert found.rates["form"] == Rate(1, 2)
    flags = " ".join(found.samples[1].flags)
    assert "thinking_type" in flags and not found.samples[0].flags
    assert "fence" in flags and found.rates["broken_markup"] == Rate(1, 2)


def test_bars_hold_every_value() -> None:
    shape = histogram([1, 1, 2, 5])
    assert shape.counts == (2, 1, 0, 0, 1) and shape.edges == (1, 2, 3, 4, 5, 6)
    assert sum(histogram([0.5 * n for n in range(100)]).counts) == 100
    assert histogram([7]).counts == (1,)


class Tags(html.parser.HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.links += [str(value) for name, value in attrs if name in ("src", "href")]


def test_the_page_is_alone_and_escapes(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script> $<img src=x onerror=alert(2)>$ \\text{<b>} a\0b \\boxed{<i>}"
    path = put(tmp_path / "a.jsonl", [sft(0, nasty, nasty), sft(1, "$\\frac{1}{2}$", "\\boxed{3}")])
    found = survey(path, samples=2)
    made = page(found, [view(one) for one in found.samples])
    tags = Tags(made)
    assert not tags.links and not {"script", "img", "link", "iframe", "object"} & tags.tags.keys()
    assert tags.tags["math"] >= 2 and tags.tags["mfrac"] == 1
    assert "default-src 'none'" in made and "\0" not in made
    assert "class='turn assistant learned'" in made and "class='turn user'" in made


@pytest.mark.parametrize(
    ("formula", "made"),
    [
        ("x^2", "<msup><mi>x</mi><mrow><mn>2</mn></mrow></msup>"),
        ("\\frac12", None),
        ("\\frac{a}{b}", "<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>"),
        ("\\sqrt[3]{8}", "<mroot><mrow><mn>8</mn></mrow><mrow><mn>3</mn></mrow></mroot>"),
        ("a_1^2", "<msubsup><mi>a</mi><mn>1</mn><mrow><mn>2</mn></mrow></msubsup>"),
        ("\\pi \\le 4", "<mi>\u03c0</mi><mo>\u2264</mo><mn>4</mn>"),
        ("\\text{if } x<1", "<mtext>if\u00a0</mtext><mi>x</mi><mo>&lt;</mo><mn>1</mn>"),
        ("f'", "<msup><mi>f</mi><mrow><mo>\u2032</mo></mrow></msup>"),
        ("-1", "<mo>\u2212</mo><mn>1</mn>"),
    ],
)
def test_formulas(formula: str, made: str | None) -> None:
    got = mathml(formula)
    if made is None:  # 1 over 2, of which the tokenizer of numbers must not make 12
        assert "<mfrac><mn>1</mn><mn>2</mn></mfrac>" in got
    else:
        assert got == f"<math><mrow>{made}</mrow></math>"


def test_a_bare_box_of_any_depth() -> None:
    made = with_maths("So <it> is \\boxed{\\frac{\\sqrt{3}}{2}}, and \\boxed{x")
    assert made.startswith("So &lt;it&gt; is <math><mrow><mrow class='boxed'><mrow><mfrac>")
    assert made.endswith("</math>, and \\boxed{x") and "<msqrt>" in made


def test_a_matrix() -> None:
    got = mathml("\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}")
    assert got.count("<mtr>") == 2 and got.count("<mtd>") == 4 and "<mo>(</mo>" in got


@pytest.mark.parametrize("formula", ["\\mystery{x}", "\\frac{1}", "{", "x}", "{" * 99 + "}" * 99])
def test_what_is_not_known_stays_source(formula: str) -> None:
    assert mathml(formula).startswith("<code>")


def test_prices_are_no_formulas() -> None:
    assert with_maths("It costs $5 and then $10 more.") == "It costs $5 and then $10 more."


class Letters:
    """A tokenizer of single characters; the loss falls on what assistants say."""

    def tokens(
        self, messages: Any, *, tools: Any = None, enable_thinking: Any = None,
        weight: float = 1.0, prompt: bool = False,
    ) -> list[tuple[str, float]]:  # fmt: skip
        return [
            (letter, weight * (one["role"] == "assistant" and not prompt))
            for one in messages
            for letter in one["content"]
        ]


def test_sizes_are_called_what_they_are() -> None:
    row = sft(0, "a b c", "d e")
    assert view(Sample(1, row, ())).size == "5 words"
    assert view(Sample(1, row, ()), Letters()).size == "8 tokens, 3 learned from"


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", [sft(0, "a\x1b[2J\x07b", "fine \x9b31m")])
    text = inspect(path, samples=1)
    assert "\\x1b[2J\\x07" in text and not set("\x1b\x07\x9b") & set(text)


def test_the_command(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(rows), f"html={tmp_path / 'p.html'}", "samples=2", "most=20"])
    out = capsys.readouterr().out
    assert "103 sft rows" in out and "page →" in out and (tmp_path / "p.html").is_file()
    for words, code in ((["no.parquet"], 3), ([str(rows), "sample=2"], 2), ([], 2)):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == code
