"""`python -m rewards.doctor +recipe=X`, or `… SPEC FILE.parquet`: is this reward fit to train on?

In: a recipe with any overrides, or a reward and rows in verl's columns. Out: one table on stdout,
and exit code 0 when every examination passes, `RewardError`'s when one fails. On a CPU, before
training, in seconds: right answers are judged right; empty, wrong, echoed, shotgun, injected and
over-long ones are not paid; verdicts are the same again, elsewhere and in threads; nothing hangs;
the workers keep up with the rollouts. Changes nothing.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from conf.errors import RewardError, boundary
from rewards.check import option
from rewards.clinic.checks import Finding, Limits, examine
from rewards.clinic.child import Child
from rewards.clinic.rows import Patient, from_recipe, read_samples

MARKS: Final = {True: "pass", False: "FAIL", None: "–"}
SHORT_ROWS: Final = 4


def diagnose(patient: Patient, limits: Limits, *, short: bool = False) -> list[Finding]:
    """Examine a reward.

    Args:
        patient: the reward and its rows.
        limits: what is asked of its speed.
        short: leave out what takes seconds; preflight's form.

    Raises:
        RewardError: the reward does not load, or there are no rows.
    """
    if not patient.samples:
        raise RewardError("there are no rows to examine the reward on", "give a file with rows")
    with Child(patient.reward, patient.options) as child:
        return list(examine(patient, child, limits, short))


def table(patient: Patient, findings: Iterable[Finding], width: int = 100) -> str:
    """The findings for people."""
    lines = [f"reward {patient.reward}", f"{len(patient.samples)} rows of {patient.source}"]
    lines += [f"{'':15}{note}" for note in patient.notes]
    for one in findings:
        head = f"{MARKS[one.ok]:<5}{one.name:<15}"
        text = one.got if one.ok else f"{one.got} | need: {one.need}"
        wrapped = textwrap.wrap(text, width - len(head), break_long_words=True) or [""]
        lines.append(head + wrapped[0])
        lines += [" " * len(head) + rest for rest in wrapped[1:]]
    return "\n".join(lines)


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rewards.doctor",
        description="Is a reward fit to train on?",
        usage="%(prog)s (+recipe=NAME [override …] | SPEC FILE.parquet [option=value …]) [--…]",
    )
    parser.add_argument("words", nargs="+", help="a recipe with overrides, or a reward and a file")
    parser.add_argument("--rows", type=int, default=200, help="rows to examine")
    parser.add_argument("--reference", help="field of the rows with a right response")
    parser.add_argument("--deadline", type=float, default=Limits.deadline, help="s a verdict")
    parser.add_argument("--p99", type=float, default=Limits.p99, help="s, on ordinary responses")
    parser.add_argument(
        "--step-seconds", type=float, help="s for a step's verdicts; else what a former run says"
    )
    parser.add_argument("--rate", type=float, help="verdicts/s needed, where there is no run")
    parser.add_argument("--max-response-tokens", type=int, default=4096)
    parser.add_argument("--short", action="store_true", help="only what takes no time")
    parser.add_argument("--debug", action="store_true", help="tracebacks")
    return parser.parse_args(words)


def _patient(given: argparse.Namespace) -> Patient:
    rows = min(given.rows, SHORT_ROWS) if given.short else given.rows
    words: list[str] = given.words
    if any(word.startswith("+recipe=") for word in words):
        return from_recipe(words, rows, given.reference)
    if len(words) < 2:
        raise RewardError(
            f"got {' '.join(words)!r}, need a recipe, or a reward and a Parquet file",
            fix="python -m rewards.doctor +recipe=NAME, or … SPEC FILE.parquet",
        )
    spec, file, *options = words
    return Patient(
        reward=spec,
        options=dict(map(option, options)),
        samples=read_samples([file], rows, given.reference),
        max_response_tokens=given.max_response_tokens,
        source=file,
    )


def main(arguments: list[str] | None = None) -> None:
    """Examine, print, exit."""
    words = sys.argv[1:] if arguments is None else arguments
    with boundary(debug="--debug" in words):
        given = _arguments(words)
        patient = _patient(given)
        limits = Limits(given.deadline, given.p99, given.step_seconds, given.rate)
        findings = diagnose(patient, limits, short=given.short)
        print(table(patient, findings))
        failed = [one.name for one in findings if one.ok is False]
        if failed:
            raise RewardError(
                f"{len(failed)} of {len(findings)} examinations fail: {', '.join(failed)}",
                fix="mend the reward or the rows; the table says what each needs",
            )


if __name__ == "__main__":
    main()
