"""The `language` reward: the share of a response's words that are in the target language.

In: a response and a language code; gold is not read. Out: a `Verdict` in [0, 1]: DeepSeek-R1's
language consistency reward, "the proportion of target language words" (arXiv 2501.12948, section
2.3.2). What has a script of its own is counted word by word: Han, kana, Thai, Khmer, Lao and
Burmese characters are words each, since no space parts them. Languages that share a script (English
and French) are told apart line by line, by `language_id`. Code blocks, formulas, tags and words
without letters are no words of any language and are left out.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any, Final

from conf.errors import RewardError
from rewards.language_id import code_of, detect, is_language, languages
from rewards.verdict import Verdict

# The scripts in which a language is written, as the first word of Unicode's character names.
SCRIPTS: Final = {
    **dict.fromkeys(("ar", "fa", "ur"), ("ARABIC",)),
    **dict.fromkeys(("bg", "mk", "ru", "uk"), ("CYRILLIC",)),
    **dict.fromkeys(("hi", "mr", "ne"), ("DEVANAGARI",)),
    **dict.fromkeys(("zh", "zh-cn", "zh-tw"), ("CJK",)),
    "bn": ("BENGALI",),
    "el": ("GREEK",),
    "gu": ("GUJARATI",),
    "he": ("HEBREW",),
    "ja": ("CJK", "HIRAGANA", "KATAKANA"),
    "kn": ("KANNADA",),
    "ko": ("HANGUL",),
    "ml": ("MALAYALAM",),
    "pa": ("GURMUKHI",),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "th": ("THAI",),
}
LATIN: Final = ("LATIN",)
# Scripts of several languages that langdetect knows: there the script alone does not decide.
SHARED: Final = frozenset({"LATIN", "CYRILLIC", "ARABIC", "DEVANAGARI"})
_UNSPACED: Final = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "KHMER", "LAO", "MYANMAR"})
_NO_WORDS = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|</?[A-Za-z_]\w*>|https?://\S+|\\[A-Za-z]+",
    re.DOTALL,
)
MAX_BLOCKS: Final = 200  # pieces judged apart; the lines of a longer text are joined to fewer
MIN_LINE_WORDS: Final = 4  # a shorter line is too little to tell languages of one script apart


@lru_cache(maxsize=8192)
def script(char: str) -> str:
    """The script of a letter; "" for what is no letter."""
    if not char.isalpha():
        return ""
    char = unicodedata.normalize("NFKC", char)[0]  # a full-width A is Latin
    return unicodedata.name(char, "").partition(" ")[0].partition("-")[0]


def words(line: str) -> list[str]:
    """The scripts of a line's words, one entry a word.

    A word is a run of letters of one script, marks and apostrophes included; in scripts without
    spaces each character is one.
    """
    found: list[str] = []
    current = ""
    for char in line:
        kind = script(char)
        if not kind:
            if not (unicodedata.category(char)[0] == "M" or char in "'’-ー"):  # noqa: RUF001
                current = ""
            continue
        if kind in _UNSPACED or kind != current:
            found.append(kind)
        current = kind
    return found


def _in_language(line: str, code: str, rest: str) -> bool:
    """Whether a line, in a script that languages share, is in this language.

    Args:
        line: the line.
        code: the target.
        rest: the whole text, which decides for a line of few words.
    """
    if len(words(line)) < MIN_LINE_WORDS:
        line = rest
    return is_language(detect(line), code)


def consistency(text: str, code: str) -> float | None:
    """The share of words in the language; None where the text has no words.

    Args:
        text: the response.
        code: an ISO 639-1 code, or an English name; `zh` is Chinese in either script.

    Raises:
        RewardError: langdetect does not know the code.
    """
    known = code_of(code)
    if known is None:
        raise RewardError(
            f"no language {code!r}; known: zh, {', '.join(sorted(languages()))}",
            fix="language=en",
        )
    code, wanted = known, SCRIPTS.get(known, LATIN)
    prose = _NO_WORDS.sub(" ", text)
    total = hits = 0
    lines = [line for line in prose.splitlines() if line.strip()]
    size = -(-len(lines) // MAX_BLOCKS) or 1
    for line in (" ".join(lines[i : i + size]) for i in range(0, len(lines), size)):
        kinds = words(line)
        own = sum(kind in wanted for kind in kinds)
        total += len(kinds)
        if own and (SHARED.isdisjoint(wanted) or _in_language(line, code, prose)):
            hits += own
    return hits / total if total else None


def grade_language(response: str, gold: Any, *, language: str, threshold: float = 0.95) -> Verdict:
    """Judge one response.

    Args:
        response: the model's text.
        gold: not read.
        language: the code of the target, from the options or the row.
        threshold: share from which on the response counts as consistent (`acc`), in [0, 1].

    Raises:
        RewardError: the code is unknown.
        ValueError: `threshold` is outside [0, 1].
    """
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold must lie in [0, 1], got {threshold!r}")
    share = consistency(response, language)
    if share is None:
        return Verdict(0.0, 0.0, "unparseable", detail="no words in the response")
    held = share >= threshold
    return Verdict(
        share,
        float(held),
        "correct" if held else "wrong",
        detail=f"{share:.0%} of the words are {language}",
    )
