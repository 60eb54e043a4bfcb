"""`perplexity` and `perplexity_band`: texts that a small model finds too easy or too strange.

In: rows, and a causal language model, local or on a server. Out: findings in both tails: a very low
perplexity is boilerplate or repetition, a very high one is noise or another language. The filter
has fixed bounds; the step drops the given share of the corpus at each end. Perplexity is
exp(-mean log-prob a token) of the text alone, without a chat template; it depends on the model, so
bounds from one say nothing about another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator

from data_prep.filters.base import (
    Action,
    Fetch,
    Finding,
    Options,
    Part,
    Row,
    Signatures,
    text_of,
)

Scorer = Callable[[Sequence[str]], Sequence[Sequence[float]]]


def perplexity(logprobs: Sequence[float]) -> float:
    """exp of the mean negative log-prob; NaN of no token, infinite past what a float holds."""
    if not logprobs:
        return math.nan
    mean = -sum(logprobs) / len(logprobs)
    return math.exp(mean) if mean < 700 else math.inf


class _Scored(Options):
    """What the filter and the step share.

    Attributes:
        model: folder or hub name of a causal model; or, with a server, its name there.
        server: base URL of an OpenAI-compatible server; None: the model runs here.
        part: the text that is scored.
        min_tokens: shorter texts are left alone: their perplexity is mostly noise.
        max_tokens: longer texts are scored by their beginning.
        action: what a finding does to the row.
    """

    model: str
    server: str | None = None
    part: Part = "all"
    min_tokens: int = Field(default=8, ge=1)
    max_tokens: int = Field(default=1024, ge=2)
    action: Action = "drop"

    @cached_property
    def _scorer(self) -> Scorer:
        if self.server is not None:
            from data_prep.filters.server import Server

            server = Server(self.server, self.model)
            return lambda texts: [server.token_logprobs(text) for text in texts]
        from data_prep.backends.causal_model import CausalModel

        return CausalModel(self.model, self.max_tokens).token_logprobs

    def perplexities(self, rows: Sequence[Row]) -> np.ndarray:
        """One value a row; NaN where the text is too short to say."""
        texts = [text_of(row, self.part, system=False) for row in rows]
        scored = [i for i, text in enumerate(texts) if text.strip()]
        found = np.full(len(rows), np.nan)
        if scored:
            logprobs = self._scorer([texts[i] for i in scored])
            for i, values in zip(scored, logprobs, strict=True):
                if len(values) >= self.min_tokens:
                    found[i] = perplexity(values[: self.max_tokens])
        return found


class Perplexity(_Scored):
    """The filter `perplexity`: fixed bounds.

    Attributes:
        low: least perplexity; None: no bound.
        high: greatest perplexity; None: no bound.
    """

    name: ClassVar[str] = "perplexity"
    reasons: ClassVar[Mapping[str, str]] = {
        "perplexity_low": "the model foresees the text: boilerplate or repetition",
        "perplexity_high": "the model is lost in the text: noise or another language",
    }

    low: float | None = Field(default=None, ge=1)
    high: float | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _bounded(self) -> Perplexity:
        if self.low is None and self.high is None:
            raise ValueError("needs low, high or both")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self

    def judge(self, rows: Sequence[Row]) -> list[Finding | None]:
        """One entry per row."""
        return [self._judge(float(value)) for value in self.perplexities(rows)]

    def _judge(self, value: float) -> Finding | None:
        if self.low is not None and value < self.low:
            detail = f"{value:.2f}, at least {self.low:g}"
            return Finding("perplexity_low", detail, self.action, {"perplexity": value})
        if self.high is not None and value > self.high:
            detail = f"{value:.2f}, at most {self.high:g}"
            return Finding("perplexity_high", detail, self.action, {"perplexity": value})
        return None


class PerplexityBand(_Scored):
    """The step `perplexity_band`: a share of the corpus at each end.

    Attributes:
        low: share with the lowest perplexity that goes.
        high: share with the highest that goes.
    """

    name: ClassVar[str] = "perplexity_band"
    reasons: ClassVar[Mapping[str, str]] = Perplexity.reasons

    low: float = Field(default=0.05, ge=0, lt=0.5)
    high: float = Field(default=0.05, ge=0, lt=0.5)

    def signatures(self, rows: Sequence[Row]) -> Signatures:
        """One perplexity a row."""
        return {"perplexity": self.perplexities(rows)}

    def resolve(
        self, signatures: Signatures, ids: Sequence[str], fetch: Fetch | None = None
    ) -> dict[str, Finding]:
        """The rows in both tails; among equal values the later ones go."""
        values = signatures["perplexity"]
        scored = np.flatnonzero(~np.isnan(values))
        order = scored[np.argsort(values[scored], kind="stable")]
        findings: dict[str, Finding] = {}
        few, many = int(self.low * len(order)), int(self.high * len(order))
        tails = (
            ("perplexity_low", "lowest", self.low, order[:few]),
            ("perplexity_high", "highest", self.high, order[len(order) - many :]),
        )
        for reason, end, share, tail in tails:
            for position in sorted(tail.tolist()):
                value = float(values[position])
                findings[ids[position]] = Finding(
                    reason,
                    f"{value:.2f}, among the {end} {share:.0%} of {len(order)} rows",
                    self.action,
                    {"perplexity": value},
                )
        return findings
