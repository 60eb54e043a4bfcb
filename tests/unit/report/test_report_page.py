"""The page: self-contained, small, whole, and never a way in for what a model wrote."""

import base64
import hashlib
import re
import time
from html.parser import HTMLParser

import pytest

from eval.pages.page import FOLDER as TEMPLATES
from eval.report import main, write_report
from eval.training.data import read_run
from eval.training.page import render

VOID = {"meta", "wbr"}


class Page(HTMLParser):
    """Tags, attributes and texts of a page; `problems` where tags do not nest."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self.open, self.problems = [], [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append((tag, self.getpos()))

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def inside(self, tag):
        return "".join(text for where, text in self.texts if where == tag)


@pytest.fixture
def hostile(tmp_path, folders):
    return folders.hostile_run(tmp_path / 'runs"><script>document.title=1</script>' / "grpo")


def test_the_sections_stand_in_their_order(run, tmp_path, folders):
    page = render(read_run(run), read_run(folders.sft_run(tmp_path / "sft")))
    order = ["Improved: 61.2% → 83.4%", "Training reward", "Validation accuracy", "KL to the",
             "Entropy", "Response length", "Gradient norm", "Log-prob mismatch",
             "Supervised fine-tuning", "Held-out problems", "Training rollouts", "Configuration",
             "Environment", "Attempts", "Run it again"]  # fmt: skip
    body = page[page.index("<main>") :]
    at = 0
    for name in order:
        found = re.compile(rf"<(h\d|summary)[^>]*>\s*{re.escape(name)}").search(body, at)
        assert found, f"{name} is missing, or stands too early"
        at = found.end()
    parsed = Page(page)
    assert parsed.problems == parsed.open == []
    assert "not recorded" not in page.replace("config.yaml", "")


def test_data_becomes_text_and_nothing_else(hostile, folders):
    html = write_report(hostile).read_text(encoding="utf-8")
    page = Page(html)
    assert page.problems == page.open == []
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert page.inside("script") == (TEMPLATES / "report.js").read_text(encoding="utf-8")
    assert page.inside("style") == (TEMPLATES / "report.css").read_text(encoding="utf-8")
    assert not {"img", "iframe", "object", "embed", "link", "base", "form", "b"} & set(page.tags)
    for tag, key, value in page.attributes:
        assert not key.startswith("on"), (tag, key)
        assert key not in ("src", "srcdoc", "style", "action", "xlink:href"), (tag, key)
        if key == "href":
            assert re.fullmatch(r"#[a-z]+", value)
    shown = "".join(text for _, text in page.texts)
    assert folders.HOSTILE[0] in shown
    assert "⟨U+0000⟩" in shown
    assert "⟨U+202E⟩" in shown
    assert "49" not in re.findall(r"\{\{[^}]*\}\} (\d+)", shown)
    assert "{{ 7 * 7 }}" in shown
    assert "107,9" in shown  # characters of the long response that are folded or left out
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", html)


def test_nothing_is_fetched(run):
    html = render(read_run(run))
    assert not re.search(r"https?:|//[a-z]|url\(|@import|\bsrc=|\bfetch\(|XMLHttp", html)


def test_the_policy_names_exactly_our_style_and_script(run):
    html = render(read_run(run))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_a_run_with_metrics_alone(tmp_path, folders):
    folders.write_lines(
        tmp_path / "metrics.jsonl", [{"step": 1, "data": {"critic/score/mean": 0.5}}]
    )
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "Not evaluated" in page.inside("h2")
    shown = "".join(text for _, text in page.texts)
    # KL, accuracy, entropy, length, norm, two mismatches, time; two kinds of samples;
    # configuration, environment, preflight, attempts, command.
    assert page.inside("p").count("not recorded") >= 14
    assert "0.5" in shown


def test_an_sft_run_has_its_own_curves(tmp_path, folders):
    page = render(read_run(folders.sft_run(tmp_path / "runs" / "arithmetic-sft")))
    assert "train/loss" in page
    assert "critic/score" not in page
    assert "Log-prob" not in page
    assert "<h1>arithmetic-sft</h1>" in page


def test_size_and_speed_of_a_long_run(tmp_path, folders):
    run = folders.grpo_run(tmp_path / "run", steps=200)
    sft = folders.sft_run(tmp_path / "sft", steps=3000)
    long = [folders.sample(200, i, '"<&\n\t' * 20_000, "1", True, acc=1.0) for i in range(20)]
    folders.write_lines(run / "validation/200.jsonl", long)
    start = time.process_time()  # alone 0.4 s
    file = write_report(run, sft)
    assert time.process_time() - start < 4.0
    assert file.stat().st_size < 1_000_000


def test_the_same_files_make_the_same_page(run):
    assert render(read_run(run)) == render(read_run(run))


def test_what_was_set_and_how_to_run_it_again(run, folders):
    text = render(read_run(run))
    assert "python -m launch.grpo +recipe=arithmetic hardware=cpu policy=tiny" in text
    assert "put together from the configuration" in text
    plan = {"command": ["python", "-m", "launch.grpo", "a b"], "overrides": ["seed=7"]}
    folders.write_json(run / "plan.json", plan)
    text = render(read_run(run))
    assert "python -m launch.grpo &#39;a b&#39;" in text
    assert "From plan.json." in text
    assert re.search(r'<th scope="row">seed</th><td>7</td>', text)


def test_command_line(run, tmp_path, capsys):
    main([str(run)])
    assert capsys.readouterr().out == f"report: {run / 'report.html'}\n"
    main([str(run), "--out", str(tmp_path / "other.html")])
    assert (tmp_path / "other.html").read_bytes() == (run / "report.html").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["{tmp}/absent"], 11, "no such folder"),
        (["{run}", "--sft", "{tmp}"], 11, "metrics.jsonl"),
        (["{run}", "--out", "{tmp}/no/such/x.html"], 6, "run.root"),
    ],
)
def test_bad_input_is_one_line_and_nothing_written(run, tmp_path, capsys, arguments, code, says):
    with pytest.raises(SystemExit) as stopped:
        main([text.format(tmp=tmp_path, run=run) for text in arguments])
    assert stopped.value.code == code
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (run / "report.html").exists()


def _luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast_of_text_and_lines(theme):
    """WCAG 2.2: 4.5 for text (SC 1.4.3), 3 for lines of charts (SC 1.4.11)."""
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", css.split(":root {")[theme + 1]))

    def contrast(one, other):
        pair = sorted((_luminance(colours[one]), _luminance(colours[other])))
        return (pair[1] + 0.05) / (pair[0] + 0.05)

    for text in ("ink", "muted", "good", "bad", "warn", "link"):
        for ground in ("card", "page", "faint"):
            assert contrast(text, ground) >= 4.5, (text, ground)
    for mark in ("c1", "c2", "c3", "c4"):
        assert contrast(mark, "card") >= 3, mark
