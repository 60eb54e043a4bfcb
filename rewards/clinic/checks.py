"""The doctor's examinations: each asks the reward something, and says what came and what must.

In: a `Patient` and a `Child` that runs its reward. Out: `Finding`s. An answer that no model should
be paid for counts as paid when it is judged right, or scores as much as the row's right answer
does. Prints nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rewards.clinic.cases import (
    REASONING,
    Case,
    case,
    cheats,
    golds,
    hanging,
    overlong,
    restated,
    right,
    shotgun,
    wrong,
)
from rewards.clinic.child import Answer, Child
from rewards.clinic.rows import Patient, Sample
from rewards.registry import row_name

PROBED: Final = 5  # rows on which all forms of a right answer are tried
THREADS: Final = 8
LATE: Final = "no verdict in time"
BROKEN: Final = ("verifier_error", "gold_error")
STEP_SECONDS: Final = 10.0  # for a step's verdicts, where no run says how long its rollouts take
# Most of a kind that may be paid, as a share of rows: a question may contain its answer.
ALLOWED: Final[Mapping[str, float]] = {"echo": 0.01, "wrong": 0.01, "shotgun": 0.01}


@dataclass(frozen=True)
class Limits:
    """What the doctor asks of a reward's speed.

    Attributes:
        deadline: seconds in which any one verdict must come.
        p99: seconds, the 99th percentile of a verdict on an ordinary response.
        step: seconds that a training step's verdicts may take; None: as long as a former run of the
            recipe generates its rollouts, or `STEP_SECONDS` where there is none.
        rate: verdicts a second that are needed where there is no run; None: any.
    """

    deadline: float = 10.0
    p99: float = 1.0
    step: float | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Finding:
    """One examination's result.

    Attributes:
        name: what was examined.
        ok: whether it is as it must be; None where the rows do not allow the question.
        got: what was measured.
        need: what must be.
    """

    name: str
    ok: bool | None
    got: str
    need: str


@dataclass(frozen=True)
class Right:
    """Rows whose right answer the reward knows: each with its response and its full score."""

    form: str
    samples: list[Sample]
    cases: list[Case]
    answers: list[Answer]


def examine(patient: Patient, child: Child, limits: Limits, short: bool) -> Iterator[Finding]:
    """All findings, in order; the short form leaves out what takes seconds."""
    known, finding = right_answers(patient, child, limits, 1 if short else PROBED)
    yield finding
    if short and finding.got.endswith(LATE):
        return  # whatever else were asked would be late too
    yield from paid(patient, child, limits, known)
    if short:
        return
    yield hangs(patient, child, limits, known)
    yield same_again(patient, known)
    yield pickled(known)
    yield in_threads(child, limits, known)
    yield from speed(patient, child, limits, known)


def _ask(child: Child, cases: Sequence[Case], limits: Limits) -> list[Answer | None]:
    return child.ask_each(cases, limits.deadline)


def right_answers(
    patient: Patient, child: Child, limits: Limits, probed: int
) -> tuple[Right, Finding]:
    """Does a right answer get the full score, in whichever form this reward reads?

    All forms are tried on the first `probed` rows, the best of them on all.
    """
    cap = patient.max_response_tokens
    votes: Counter[str] = Counter()
    for sample in patient.samples[:probed]:
        forms = right(sample)
        cases = [case(sample, text, cap) for text in forms.values()]
        said = child.ask_each(cases, limits.deadline, patient=probed > 1)
        for form, answer in zip(forms, said, strict=True):
            # Of the forms that are right, the one that scores most: it has what a format asks for.
            if answer and answer["acc"] is not None and answer["acc"] >= 1.0:
                votes[form] += 1 + round(1000 * answer["score"])
    form = votes.most_common(1)[0][0] if votes else "gold as #### {}"
    known = Right(form, [], [], [])
    failed: list[str] = []
    asked = [
        (sample, case(sample, text, cap))
        for sample in patient.samples
        if (text := restated(form, sample)) is not None
    ]
    answers = child.ask_each([one for _, one in asked], limits.deadline, patient=probed > 1)
    for (sample, one), answer in zip(asked, answers, strict=True):
        if answer is not None and answer["acc"] == 1.0:
            known.samples.append(sample)
            known.cases.append(one)
            known.answers.append(answer)
        else:
            failed.append(_why(sample, one, answer))
    n = len(patient.samples)
    if not asked and not any(map(golds, patient.samples)):
        first = patient.samples[0]
        empty = _ask(child, [case(first, "", cap)], limits)[0]
        if empty and empty["status"] != "gold_error":
            got = "the rows hold no right response to try (--reference FIELD names one)"
            return known, Finding("right answers", None, got, "")
        failed.append(_why(first, case(first, "", cap), empty))
    got = f"{len(known.samples)} of {n} rows, {_shown(form)}"
    if failed:
        got += f"; {failed[0]}"
    need = "each row's right answer is judged right"
    if not votes:
        need += " (rows may hold a right response: --reference FIELD)"
    return known, Finding("right answers", len(known.samples) == n, got, need)


def _shown(form: str) -> str:
    return repr(form.replace("{{", "{").replace("}}", "}"))[1:-1][:60]


def _why(sample: Sample, one: Case, answer: Answer | None) -> str:
    name = row_name(sample.row)
    if answer is None:
        said = LATE
    elif answer["score"] is None:
        said = f"{answer['status']} {answer['detail']}"
    else:
        said = f"{answer['status']}, score {answer['score']:.3g} {answer['detail']}"
    return f"row {name}, {one['response'][-60:]!r}: {said.strip()[:120]}"


def paid(patient: Patient, child: Child, limits: Limits, known: Right) -> Iterator[Finding]:
    """Do answers that are none get paid?"""
    cap = patient.max_response_tokens
    floor = [float(answer["score"]) for answer in known.answers]
    pool = known.samples or list(patient.samples)
    kinds: dict[str, list[tuple[int, Case]]] = {
        kind: [] for kind in ("empty", "wrong", "echo", "shotgun", "injection", "over-long")
    }
    for number, sample in enumerate(pool):
        others = [*pool[number + 1 :], *pool[:number]]
        texts = {
            **cheats(known.form, sample),
            "wrong": wrong(known.form, sample, others),
            "shotgun": shotgun(known.form, sample, others),
        }
        for kind, responses in texts.items():
            kinds[kind] += [(number, case(sample, text, cap)) for text in responses]
        if number < PROBED:
            long = case(sample, overlong(sample), cap, truncated=True)
            kinds["over-long"].append((number, long))
    for kind, cases in kinds.items():
        need = "not paid, and no broken verdict"
        if not cases:
            yield Finding(kind, None, "the rows' answers are no text to make one from", need)
            continue
        answers = _ask(child, [one for _, one in cases], limits)
        bad: list[str] = []
        for (number, one), answer in zip(cases, answers, strict=True):
            full = floor[number] if number < len(floor) else None
            if _is_paid(answer, full) or answer is None or answer["status"] in BROKEN:
                bad.append(_why(pool[number], one, answer))
        allowed = ALLOWED.get(kind, 0.0) * len(cases)
        got = f"{len(bad)} of {len(cases)} paid or broken"
        if bad:
            got += f"; {bad[0]}"
        yield Finding(kind, len(bad) <= allowed, got, need)


def _is_paid(answer: Answer | None, full: float | None) -> bool:
    if answer is None or answer["acc"] is None:
        return False
    return bool(answer["acc"] >= 1.0 or (full is not None and answer["score"] >= full))


def hangs(patient: Patient, child: Child, limits: Limits, known: Right) -> Finding:
    """Does any text keep it busy past the deadline, kill it, or make it a broken verdict?"""
    sample = (known.samples or list(patient.samples))[0]
    slow, bad = 0.0, []
    texts = hanging(known.form, sample)
    for name, text in texts.items():
        begun = time.monotonic()
        answers = child.ask([case(sample, text, patient.max_response_tokens)], limits.deadline)
        slow = max(slow, time.monotonic() - begun)
        if answers is None:
            bad.append(f"{name}: no verdict within {limits.deadline:g} s, or the process died")
        elif answers[0]["status"] in BROKEN or _is_paid(answers[0], None):
            bad.append(f"{name}: {answers[0]['status']} {answers[0]['detail'][:160]}")
    got = f"{len(texts)} texts, slowest {slow:.2f} s" + (
        f"; {len(bad)} fail: {bad[0]}" if bad else ""
    )
    return Finding("hang", not bad, got, f"a verdict within {limits.deadline:g} s, not paid")


def _same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    names = ("score", "acc", "status", "pred", "components")
    return all(left[name] == right[name] for name in names)


def same_again(patient: Patient, known: Right) -> Finding:
    """Are verdicts the same in another process, with another hash seed, in another order?"""
    need = "the same verdicts in another process"
    if not known.cases:
        return Finding("determinism", None, "no row's right answer is known", need)
    with Child(patient.reward, patient.options, hash_seed=1) as other:
        again = other.ask(known.cases[::-1], 60.0 + len(known.cases))
    if again is None:
        return Finding("determinism", False, "no verdicts from a second process", need)
    pairs = zip(known.answers, again[::-1], strict=True)
    differ = [(left, right) for left, right in pairs if not _same(left, right)]
    got = f"{len(differ)} of {len(known.cases)} differ"
    if differ:
        left, right = differ[0]
        got += f"; {left['score']} {left['pred']!r} and {right['score']} {right['pred']!r}"
    return Finding("determinism", not differ, got, need)


def pickled(known: Right) -> Finding:
    """Does the verdict survive the way to the trainer, with the same keys each time?"""
    faults = [str(answer["pickles"]) for answer in known.answers if answer["pickles"]]
    keys = {tuple(sorted(answer["components"])) for answer in known.answers}
    if len(keys) > 1:
        faults.append(f"components are {' here, '.join(map(str, sorted(keys)[:2]))} there")
    got = faults[0] if faults else f"{len(known.answers)} verdicts"
    ok = None if not known.answers else not faults
    return Finding("pickling", ok, got, "numbers and strings, with the same keys")


def in_threads(child: Child, limits: Limits, known: Right) -> Finding:
    """Are verdicts the same off the main thread, eight at a time?"""
    need = "the same verdicts as on the main thread"
    if not known.cases:
        return Finding("threads", None, "no row's right answer is known", need)
    answers = child.ask(known.cases, limits.deadline + len(known.cases), threads=THREADS)
    if answers is None:
        return Finding("threads", False, "no verdicts, or the process died", need)
    differ = [
        right for left, right in zip(known.answers, answers, strict=True) if not _same(left, right)
    ]
    got = f"{len(differ)} of {len(answers)} differ"
    if differ:
        got += f"; {differ[0]['status']} {differ[0]['detail'][-160:]}"
    return Finding("threads", not differ, got, need)


def speed(patient: Patient, child: Child, limits: Limits, known: Right) -> Iterator[Finding]:
    """How long does a verdict take, and do the workers keep up with the rollouts?"""
    cap = patient.max_response_tokens
    pool = known.samples or list(patient.samples)
    cases = []
    for number, sample in enumerate(pool):
        text = restated(known.form, sample) or ""
        others = [*pool[number + 1 :], *pool[:number]]
        for response in [text, *wrong(known.form, sample, others)[:1]]:
            cases.append(case(sample, f"{REASONING}\n{response}", cap))
    answers = [answer for answer in _ask(child, cases, limits) if answer is not None]
    if not answers:
        yield Finding("latency", False, "no verdicts in time", f"p99 ≤ {limits.p99:g} s")
        return
    seconds = sorted(float(answer["seconds"]) for answer in answers)
    p50 = seconds[len(seconds) // 2]
    p99 = seconds[min(len(seconds) - 1, int(0.99 * len(seconds)))]
    got = f"p50 {1000 * p50:.2f} ms, p99 {1000 * p99:.2f} ms over {len(seconds)} verdicts"
    yield Finding("latency", p99 <= limits.p99, got, f"p99 ≤ {1000 * limits.p99:g} ms")
    rate = len(seconds) / max(sum(seconds), 1e-9)
    got = f"{rate:,.0f} verdicts/s in one worker"
    if patient.per_step is not None:
        takes = patient.per_step / (rate * patient.workers)
        got += f"; a step's {patient.per_step} take {takes:.2f} s in {patient.workers}"
        bound, why = step_bound(patient, limits)
        yield Finding("throughput", takes <= bound, f"{got}, {why}", f"a step in ≤ {bound:.3g} s")
    else:
        need = "any" if limits.rate is None else f"≥ {limits.rate:g} verdicts/s"
        yield Finding("throughput", limits.rate is None or rate >= limits.rate, got, need)


def step_bound(patient: Patient, limits: Limits) -> tuple[float, str]:
    """Seconds that a step's verdicts may take, and where the number comes from."""
    if limits.step is not None:
        return limits.step, "as --step-seconds says"
    if patient.rollouts is not None:
        rate = (patient.per_step or 0) / patient.rollouts.seconds
        return patient.rollouts.seconds, f"{patient.rollouts.source} makes {rate:,.0f} rollouts/s"
    return STEP_SECONDS, "of an assumed step: no run of this recipe has said how long its takes"
