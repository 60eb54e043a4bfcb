"""The filter `language`: rows in a language that is not wanted.

In: rows. Out: a finding. Without a detector the script decides first (Han, kana, Hangul, Cyrillic,
Arabic, Devanagari, Greek, Hebrew, Thai), then, among languages in Latin letters, the share of
function words; a text that shows neither is left alone: formulas and code have no language. That
tells apart the languages of `WORDS` and no others; `detector=path.py:function` takes a function
from texts to (language, probability), such as fastText's, in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import ClassVar, Final

from pydantic import Field

from data_prep.filters.base import Finding, Part, Row, RowFilter, text_of
from data_prep.filters.hooks import load_hook
from data_prep.filters.markup import split_fences
from data_prep.filters.text import plain, unify

WORDS: Final[Mapping[str, frozenset[str]]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the and of to is that it for was with are this have not you from be as at by what "
              "how which can an if or they would there their will been has your we",
        "de": "der die das und ist nicht ein eine zu den mit von auf für im dem wie es sich des "
              "auch wird sind oder ich sie wir als bei aus nach einen was war dass",
        "fr": "le la les et est des une dans que qui pour pas sur au du ce il elle avec sont plus "
              "nous vous par être cette ou mais ne se leur ont",
        "es": "el la los las de que y es en un una por con para no se del al lo como más pero sus "
              "este esta son cuando muy también hay",
        "it": "il lo gli che di è e un una per non con sono del della dei nel come più anche ma "
              "questo questa si dal alla ha",
        "pt": "o os as que de é e um uma para não com do da dos em por mais como mas foi ao se "
              "seu sua são você pelo também",
        "nl": "de het een en van is dat niet op te zijn met voor er maar ook aan die om bij wat "
              "hoe worden wordt naar dit deze",
    }.items()
}  # fmt: skip
# Script → its language where one language is by far the most written in it.
SCRIPTS: Final = (
    ("ja", "\u3040", "\u30ff"),
    ("zh", "\u3400", "\u9fff"),
    ("ko", "\uac00", "\ud7af"),
    ("ru", "\u0400", "\u04ff"),
    ("ar", "\u0600", "\u06ff"),
    ("hi", "\u0900", "\u097f"),
    ("el", "\u0370", "\u03ff"),
    ("he", "\u0590", "\u05ff"),
    ("th", "\u0e00", "\u0e7f"),
)
SIGNIFICANT: Final = 0.12  # least share of function words by which a language is recognised
DISTINCT: Final = 3  # function words that must differ: one may be a name
Detector = Callable[[Sequence[str]], Sequence[tuple[str, float]]]


def detect(text: str) -> tuple[str, float]:
    """The language of a text and how sure that is; ("", 0.0) when nothing shows it."""
    text = unify(split_fences(text)[0] if "```" in text else text)
    letters = sum(map(str.isalpha, text))
    if not text.isascii() and letters:
        counts = {code: sum(a <= sign <= b for sign in text) for code, a, b in SCRIPTS}
        if counts["ja"] and counts["ja"] * 5 > counts["zh"]:
            counts["ja"] += counts.pop("zh")  # kanji beside kana
        code = max(sorted(counts), key=counts.__getitem__)
        # Greek letters in a formula are no Greek.
        if counts[code] > 0.3 * letters and (code != "el" or counts[code] > 15):
            return code, counts[code] / letters
    # A lone letter is a variable as often as a word (Spanish y, Italian e).
    words = [word for word in plain(text).split() if word.isalpha() and len(word) > 1]
    if len(words) < 5:
        return "", 0.0
    shares = {code: sum(w in known for w in words) / len(words) for code, known in WORDS.items()}
    best = max(sorted(shares), key=shares.__getitem__)
    if shares[best] < SIGNIFICANT or len(WORDS[best].intersection(words)) < DISTINCT:
        return "", 0.0
    rest = max(share for code, share in shares.items() if code != best)
    return best, shares[best] / (shares[best] + rest)


class Language(RowFilter):
    """The filter `language`.

    Attributes:
        keep: codes of the languages to keep.
        part: what is looked at.
        min_words: shorter texts are left alone.
        sure: a detection less probable than this decides nothing.
        detector: `path.py:function` or `module:function`; None: the one here.
    """

    name: ClassVar[str] = "language"
    reasons: ClassVar[Mapping[str, str]] = {
        "language": "the text is in a language that is not kept",
    }

    keep: tuple[str, ...] = Field(default=("en",), min_length=1)
    part: Part = "all"
    min_words: int = Field(default=8, ge=1)
    sure: float = Field(default=0.6, ge=0, le=1)
    detector: str | None = None

    @cached_property
    def _detector(self) -> Detector:
        if self.detector is None:
            return lambda texts: [detect(text) for text in texts]
        return load_hook(self.detector, "language detector")  # type: ignore[no-any-return]

    def judge(self, rows: Sequence[Row]) -> list[Finding | None]:
        """One entry per row; the detector sees the whole batch."""
        texts = [text_of(row, self.part, system=False) for row in rows]
        looked = [i for i, text in enumerate(texts) if len(unify(text).split()) >= self.min_words]
        findings: list[Finding | None] = [None] * len(rows)
        said = self._detector([texts[i] for i in looked]) if looked else ()
        for i, (language, probability) in zip(looked, said, strict=True):
            if language and language not in self.keep and probability >= self.sure:
                findings[i] = self.found("language", f"{language} ({probability:.2f})")
        return findings
