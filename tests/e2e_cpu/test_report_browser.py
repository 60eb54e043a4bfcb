"""The report in a real browser: data runs nothing, our script runs, nothing overflows.

Each claim has its control: a page in which the data is not escaped does run it, so that a browser
that runs nothing at all cannot make these tests pass.
"""

import importlib.util
import re
import struct
import subprocess
from pathlib import Path

import pytest

from eval.report import write_report

_FILE = Path(__file__).parents[1] / "unit" / "report" / "run_folders.py"
_SPEC = importlib.util.spec_from_file_location("run_folders", _FILE)
run_folders = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(run_folders)

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
RAW = "<script>document.title='owned'</script>"


def dom(done: subprocess.CompletedProcess) -> str:
    return done.stdout.decode("utf-8")


def title(text: str) -> str:
    return re.search(r"<title>(.*?)</title>", text, re.DOTALL)[1]


@pytest.fixture
def hostile(tmp_path):
    return write_report(run_folders.hostile_run(tmp_path / "hostile"))


def changed(page: Path, old: str | re.Pattern, new: str) -> Path:
    html = page.read_text(encoding="utf-8")
    out = (
        re.sub(old, lambda _: new, html) if isinstance(old, re.Pattern) else html.replace(old, new)
    )
    assert out != html
    target = page.with_name(f"changed-{abs(hash((str(old), new)))}.html")
    target.write_text(out, encoding="utf-8")
    return target


def test_nothing_from_the_data_runs_and_our_script_does(browse, hostile):
    done = browse(hostile, "--dump-dom")
    text = dom(done)
    assert "Ended at step 6" in title(text)
    assert text.count("<script>") == 1
    assert not re.search(r"<(img|iframe|object|embed)\b", text)
    assert 'class="guide"' in text  # drawn by our script, which the policy must let run
    console = [
        line for line in done.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line
    ]
    assert console == []


def test_escaping_alone_is_enough(browse, hostile):
    text = dom(browse(changed(hostile, POLICY, ""), "--dump-dom"))
    assert title(text) != "owned"
    assert text.count("<script>") == 1


def test_the_policy_alone_is_enough(browse, hostile):
    unescaped = changed(hostile, "</main>", f"{RAW}</main>")
    assert title(dom(browse(unescaped, "--dump-dom"))) != "owned"


def test_without_both_it_would_run(browse, hostile):
    unescaped = changed(changed(hostile, POLICY, ""), "</main>", f"{RAW}</main>")
    assert title(dom(browse(unescaped, "--dump-dom"))) == "owned"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("kind", ["good", "hostile"])
def test_nothing_is_wider_than_the_window(browse, tmp_path, kind, width):
    make = run_folders.hostile_run if kind == "hostile" else run_folders.grpo_run
    page = write_report(make(tmp_path / kind), run_folders.sft_run(tmp_path / "sft"))
    # A frame, as a headless window may be no narrower than 500 px.
    probe = changed(
        changed(page, POLICY, ""),
        "</main>",
        "</main><script>document.title = document.documentElement.scrollWidth;"
        "parent.postMessage(document.title, '*')</script>",
    )
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<title>-</title><script>onmessage = (e) => {{ document.title = e.data }}</script>"
        f'<iframe width="{width}" height="900" style="border:0" src="{probe.as_uri()}"></iframe>'
    )
    text = dom(browse(frame, "--dump-dom", "--virtual-time-budget=5000"))
    assert title(text) == str(width)


def test_it_is_drawn(browse, tmp_path):
    page = write_report(run_folders.grpo_run(tmp_path / "run"))
    shots = []
    for scheme in ("1", "0"):  # light, dark
        file = tmp_path / f"{scheme}.png"
        browse(page, f"--screenshot={file}", "--window-size=1280,2400",
               f"--blink-settings=preferredColorScheme={scheme}")  # fmt: skip
        shots.append(file.read_bytes())
    for shot in shots:
        assert struct.unpack(">II", shot[16:24]) == (1280, 2400)
        assert len(shot) > 100_000  # an empty page of this size has about 10 kB
    assert shots[0] != shots[1]
