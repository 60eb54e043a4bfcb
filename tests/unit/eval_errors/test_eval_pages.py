"""The evaluation's pages as text: whole, self-contained, no way in for what a model wrote."""

import importlib.util
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from eval.pages import page
from eval.pages.draw import differences
from eval.pages.items import cut, limit_for, prompt_text
from eval.report import main, write_page

_SPEC = importlib.util.spec_from_file_location("folders", Path(__file__).parent / "folders.py")
folders = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(folders)


class Page(HTMLParser):
    """Tags and texts of a page; `problems` where tags do not nest."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.data, self.open, self.problems, self.loads = [], {}, [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for key, value in attrs if key in ("src", "href", "onerror")]
        if tag not in {"meta", "br", "wbr"}:
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop()[0] != tag:
            self.problems.append((tag, self.getpos()))

    def handle_data(self, data):
        if self.open and self.open[-1][0] == "script":
            name = self.open[-1][1].get("id")
            self.data[name] = self.data.get(name, "") + data


def write(kind, folder, evil):
    if kind == "comparison":
        return write_page(folders.comparison(folder, evil=evil))
    records = folders.hostile() if evil else folders.made(450)
    return write_page(folders.evaluation(folder, {"gsm8k": records}))


@pytest.mark.parametrize("evil", [False, True])
@pytest.mark.parametrize("kind", ["evaluation", "comparison"])
def test_pages_are_whole_and_load_nothing(tmp_path, kind, evil):
    text = write(kind, tmp_path / "p", evil).read_text(encoding="utf-8")
    found = Page(text)
    assert found.problems == found.open == []
    assert all(one.startswith("#") for one in found.loads)
    assert not {"img", "iframe", "object", "embed", "link", "base", "form"} & set(found.tags)
    scripts = [name for name in found.data if name is None]
    assert len(scripts) == 1 and text.count("<style>") == 1
    for name in set(found.data) - {None}:
        json.loads(found.data[name])
    assert re.findall(r"https?://[\w.]*", text) in ([], ["http://www.w3.org"])  # MathML's name


def test_embedded_data_comes_back_as_it_was(tmp_path):
    texts = ["</script>", "<!--", "a & b", "\\u003c", 'quote " \\', "é 中 😀", "line\nbreak\ttab"]
    found = Page(f"<p></p>{page.embedded('x', {'t': texts, 'n': float('nan'), 'f': 0.5})}")
    assert found.problems == []
    assert json.loads(found.data["x"]) == {"t": texts, "n": None, "f": 0.5}
    hidden = json.loads(Page(str(page.embedded("x", ["\ud800", "\u202e", "\x00"]))).data["x"])
    assert hidden == ["⟨U+D800⟩", "⟨U+202E⟩", "⟨U+0000⟩"]


def test_the_items_are_all_there_in_chunks(tmp_path):
    text = write("evaluation", tmp_path / "p", evil=False).read_text(encoding="utf-8")
    data = {name: json.loads(part) for name, part in Page(text).data.items() if name}
    assert len(data["index"]["rows"]) == 450
    assert [len(data[f"chunk-{i}"]) for i in range(3)] == [200, 200, 50]
    records = folders.made(450)
    assert data["chunk-2"][7]["response"] == records[407]["response"]
    assert data["index"]["facets"] == ["level"]
    assert data["index"]["rows"][407][1] == records[407]["id"]


def test_the_verdict_stands_first(tmp_path):
    text = write("comparison", tmp_path / "p", evil=False).read_text(encoding="utf-8")
    body = text[text.index("<main>") :]
    order = ["Improved on gsm8k: 49.6% → 56.7%", "Verdicts", "Forgetting", "Contamination",
             "Models and cost", "Flips"]  # fmt: skip
    places = [body.index(f"<h2>{name}") if i else body.index(name) for i, name in enumerate(order)]
    assert places == sorted(places)
    text = write("evaluation", tmp_path / "e", evil=False).read_text(encoding="utf-8")
    right = sum(r["verdict"]["status"] == "correct" for r in folders.made(450))
    assert f'<h2 id="verdict">{100 * right / 450:.1f}% on gsm8k</h2>' in text


def test_published_numbers_are_marked_and_explained(tmp_path):
    folder = folders.evaluation(
        tmp_path / "e", {"gsm8k": folders.made(300)}, "Qwen/Qwen2.5-0.5B-Instruct"
    )
    text = write_page(folder).read_text(encoding="utf-8")
    assert 'class="published"' in text and "published: 49.6%" in text
    assert "Against published numbers" in text and "contamination or leniency" in text


def test_a_difference_is_drawn_around_zero():
    task = {"verdict": "improved", "difference": 0.05, "difference_ci95": [0.02, 0.08]}
    lost = {"verdict": "regressed", "difference": -0.02, "difference_ci95": [-0.03, -0.01]}
    plot = differences([("a", "", task), ("b", "", lost)])
    assert [row.value for row in plot.rows] == ["+5.0", "−2.0"]
    assert plot.rows[0].drawn.count('class="zero"') == 1
    zero = float(re.search(r'class="zero" x1="([\d.]+)%', plot.rows[0].drawn)[1])
    at = [float(re.search(r'cx="([\d.]+)%', row.drawn)[1]) for row in plot.rows]
    assert at[1] < zero < at[0]


def test_long_texts_are_cut_to_a_budget():
    assert limit_for([1000] * 10) == 24_000
    assert limit_for([24_000] * 10_000) < 24_000 * 40 / 240 + 1
    text = "a" * 500 + "b" * 500
    short = cut(text, 300)
    assert short.startswith("a" * 200) and short.endswith("b" * 100) and "700 characters" in short
    assert cut(text, 1000) == text


def test_a_prompt_as_text():
    assert prompt_text([{"role": "user", "content": "x"}]) == "x"
    two = prompt_text([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])
    assert two == "[system]\ns\n\n[user]\nu"


def test_one_records_file_is_an_evaluation(tmp_path, capsys):
    file = tmp_path / "records-before.jsonl"
    bare = [{k: v for k, v in r.items() if k not in ("task", "sample", "extra")}
            for r in folders.made(40)]  # fmt: skip
    folders.write(file, bare)
    main([str(file)])
    assert capsys.readouterr().out.strip() == f"report: {tmp_path / 'report.html'}"
    assert "40 responses" in (tmp_path / "report.html").read_text(encoding="utf-8")
