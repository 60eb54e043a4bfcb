"""The filter `toxic`: rows with words of a list, or that a classifier scores as toxic.

In: rows. Out: a finding with the term (masked) or the score. The built-in list holds English
obscenities and slurs that have hardly another meaning; insults that need context are a
classifier's: `classifier=path.py:function` takes a function from texts to scores in [0, 1]. By
default a finding flags: data for safety training must hold such words.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from conf.errors import ConfigError
from data_prep.filters.base import Action, Finding, Part, Row, RowFilter, text_of
from data_prep.filters.hooks import load_hook
from data_prep.filters.text import plain

# In ROT13, so that reading the source, or searching it, is no trouble to anyone.
_LIST: Final = (
    "shpx shpxvat shpxrq shpxre zbgureshpxre zbgureshpxvat shpxgneq shpxsnpr ohyyfuvg "
    "fuvgurnq phag phagf nffubyr nffubyrf oybjwbo unaqwbo jnaxre gjng pbpxfhpxre phzfubg "
    "whzobgvgf avttre avttref avttn snttbg snttbgf xvxr xvxrf fcvp jrgonpx tbbx enturnq "
    "fnaqavttre genaal fyhg jubere"
)
TERMS: Final = frozenset(codecs.decode(_LIST, "rot13").split())
Classifier = Callable[[Sequence[str]], Sequence[float]]


def mask(term: str) -> str:
    """The first and last letter, the others starred."""
    return term if len(term) < 3 else term[0] + "*" * (len(term) - 2) + term[-1]


class Toxic(RowFilter):
    """The filter `toxic`.

    Attributes:
        part: what is looked at.
        words: file with one term a line, in place of the built-in list; `#` begins a comment.
        least: so many terms in a row make a finding.
        classifier: function from texts to scores, asked as well.
        threshold: score from which a text is toxic.
    """

    name: ClassVar[str] = "toxic"
    reasons: ClassVar[Mapping[str, str]] = {
        "toxic_words": "holds terms of the list",
        "toxic_score": "the classifier's score is over the threshold",
    }

    action: Action = "flag"
    part: Part = "all"
    words: Path | None = None
    least: int = Field(default=1, ge=1)
    classifier: str | None = None
    threshold: float = Field(default=0.5, ge=0, le=1)

    @cached_property
    def _terms(self) -> re.Pattern[str]:
        terms: Sequence[str] = sorted(TERMS)
        if self.words is not None:
            try:
                lines = self.words.read_text(encoding="utf-8").splitlines()
            except OSError as error:
                raise ConfigError(f"toxic: words {self.words}: {error.strerror}") from error
            terms = sorted({plain(line.partition("#")[0]) for line in lines} - {""})
            if not terms:
                raise ConfigError(f"toxic: {self.words} holds no terms", fix="one term a line")
        return re.compile(rf"(?<!\S)(?:{'|'.join(map(re.escape, terms))})(?!\S)")

    @cached_property
    def _classifier(self) -> Classifier:
        return load_hook(str(self.classifier), "toxicity classifier")  # type: ignore[no-any-return]

    def judge(self, rows: Sequence[Row]) -> list[Finding | None]:
        """One entry per row; the classifier sees the whole batch."""
        texts = [text_of(row, self.part) for row in rows]
        findings: list[Finding | None] = []
        for text in texts:
            found = self._terms.findall(plain(text))
            shown = ", ".join(dict.fromkeys(map(mask, found)))
            few = len(found) < self.least
            findings.append(None if few else self.found("toxic_words", f"{len(found)}: {shown}"))
        if self.classifier is not None:
            scores = self._classifier(texts)
            if len(scores) != len(texts):
                raise ConfigError(
                    f"toxic: {self.classifier} gave {len(scores)} scores for {len(texts)} texts"
                )
            for i, score in enumerate(scores):
                if findings[i] is None and score >= self.threshold:
                    findings[i] = self.found("toxic_score", f"{score:.3f}")
        return findings
