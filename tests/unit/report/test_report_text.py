"""Text and numbers of the report: nothing hidden, nothing that cannot be encoded."""

import pytest

from eval.pages.text import duration, number, percent, plural, readable, visible


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (0.369140625, "0.369"),
        (1197.55, "1,198"),
        (6.073e-5, "6.07e-5"),
        (1e-6, "1e-6"),
        (-1.5, "-1.5"),
        (12.04, "12"),
        (120, "120"),
        (3.2e9, "3.2e9"),
        (None, "not recorded"),
        (float("nan"), "nan"),
    ],
)
def test_number_keeps_what_matters(value, shown):
    assert number(value) == shown


def test_small_words():
    assert percent(0.6124) == "61.2%"
    assert [plural(1, "step"), plural(2000, "step")] == ["1 step", "2,000 steps"]
    assert [duration(s) for s in (41.6, 200, 7500)] == ["42 s", "3 min 20 s", "2 h 5 min"]


def test_what_cannot_be_seen_or_encoded_is_named():
    text = "a\x00\x1b\x9b\u202e\u200b\ud800b\tc\nd 👩\u200d🔬"
    shown = readable(text)
    named = "⟨U+0000⟩⟨U+001B⟩⟨U+009B⟩⟨U+202E⟩⟨U+200B⟩⟨U+D800⟩"
    assert shown == f"a{named}b\tc\nd 👩\u200d🔬"
    shown.encode("utf-8")


def test_whitespace_is_marked_and_markup_escaped():
    assert visible("a b") == "a b"
    assert visible(" a  b \n\tc ") == ("<i>·</i>a<i>··</i>b<i>·</i><i>↵\n→\t</i>c<i>·</i>")
    assert visible("<i>&\"'") == "&lt;i&gt;&amp;&#34;&#39;"
