"""What to do about a class of failures: one sentence with the task's own numbers in it.

In: a class and the records of a task. Out: advice that names the setting (template, token limit,
extraction, data) and, where the records say so, the value. A suggestion is a hypothesis: the next
evaluation tests it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.failures.classify import Failure

Records = Sequence[Mapping[str, Any]]
Classes = Sequence[Failure | None]


def suggest(kind: str, records: Records, classes: Classes) -> str:
    """Advice for one class."""
    hit = [r for r, one in zip(records, classes, strict=True) if one and one.kind == kind]
    said = [one for one in classes if one and one.kind == kind]
    if kind == "truncated":
        return _truncated(records, hit)
    if kind == "wrong_answer":
        return _wrong(said)
    if kind == "wrong_format":
        meant = sum("gold answer" in one.why for one in said)
        extra = f" In {meant} of {len(said)} the right answer is there." if meant else ""
        return (
            "The answer is given, not in the form that is read: say the form in the prompt, show "
            f"it in few-shot examples, or loosen the grader's convention.{extra} For training: a "
            "format reward, or SFT on answers in this form."
        )
    if kind == "no_answer":
        empty = sum(not str(r["response"]).strip() for r in hit)
        first = f"{empty} of {len(hit)} are empty: look at the stop strings. " if empty else ""
        return (
            f"{first}The model ends without a final answer: check that the prompt asks for one "
            "and goes through the model's own chat template, and that no stop string cuts it off."
        )
    return {
        "verifier_failed": (
            f"The grader broke on {len(hit)} responses, most often: {_most(said)}. They are left "
            "out of the accuracy; mend the rows or the grader (python -m rewards.check), then "
            "python -m eval.regrade."
        ),
        "refusal": (
            "The model declines what is harmless here: look at the system prompt first; in "
            "training data, refusals to such questions are to be dropped (data_prep filters)."
        ),
        "repetition": (
            "Greedy decoding runs into loops: sample with temperature 0.6-0.7, check the end token "
            "of the chat template; in training, the repetition penalty reward, and SFT data whose "
            "responses end."
        ),
        "wrong_language": (
            "The response leaves the prompt's language: say the language in the prompt; in "
            "training, the language reward and data in this language."
        ),
    }[kind]


def _truncated(records: Records, hit: Records) -> str:
    limit = max((int(r.get("tokens") or 0) for r in hit), default=0)
    done = [int(r["tokens"]) for r in records if r.get("finish_reason") != "length"]
    share = len(hit) / len(records)
    text = f"{share:.0%} of all responses end at the limit of {limit:,} tokens: raise max_tokens"
    if done:
        text += (
            f" (those that ended took {np.quantile(done, 0.5):,.0f} tokens in the median, "
            f"{np.quantile(done, 0.95):,.0f} at the 95th percentile; try {2 * limit:,})"
        )
    return text + ", or train with a soft length penalty where twice the limit changes nothing."


def _wrong(said: Sequence[Failure]) -> str:
    sorts = Counter(one.sort for one in said)
    n = len(said)
    told = ", ".join(f"{count} {name}" for name, count in sorts.most_common())
    most = sorts.most_common(1)[0][0]
    advice = {
        "slip": "calculations fail where the plan is right: longer working, sampling with "
        "majority vote (maj@k shows what it is worth), or a reward on the steps",
        "logic": "the steps hold and lead elsewhere: harder training problems of these subjects, "
        "worked solutions for SFT, then RL with this very verifier",
        "knowledge": "facts are missing: no reward teaches them; training data of these subjects",
        "syntax": "programs do not compile: look at the template and at cut or mixed code fences",
        "exception": "programs raise: training problems with execution feedback",
        "too slow": "programs time out: problems with tight limits, or a higher timeout_s",
        "instruction": "instructions on content are missed: data with verifiable instructions",
        "unclear": "no rule can tell why: configure a judge (judge.base_url=… judge.model=…)",
    }[most or "unclear"]
    return f"Of {n} wrong answers: {told}. {advice[0].upper()}{advice[1:]}."


def _most(said: Sequence[Failure]) -> str:
    reason, count = Counter(one.why[:80] for one in said).most_common(1)[0]
    return f"{reason!r} ({count})"
