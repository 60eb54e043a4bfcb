"""`python -m rewards.check SPEC [option=value …]`: does this reward load, and does it answer?

In: a reward spec and its options; with `--rows FILE.parquet` a few rows to try it on, as the doctor
would (its short form). Out: one line on stdout and exit code 0, before it a `warning: ` line for
each examination that fails; or the `RewardError`'s line and exit code. Preflight runs it.
"""

from __future__ import annotations

import json
import sys

from conf.errors import RewardError, boundary
from rewards.loading import FORMS
from rewards.registry import load_reward

SAMPLE_RESPONSE = "2+2 is 4.\n#### 4"
SAMPLE_GOLD = "4"
ROWS = 4
DEADLINE = 1.0  # s a verdict; preflight has little more for all of them


def option(argument: str) -> tuple[str, object]:
    """`name=value` with the value as JSON, or as text where it is none.

    Raises:
        RewardError: there is no `=`.
    """
    key, found, text = argument.partition("=")
    if not found:
        raise RewardError(f"got {argument!r}, need option=value", fix=f"{argument}=…")
    try:
        return key, json.loads(text)
    except json.JSONDecodeError:
        return key, text


def _warnings(spec: str, options: dict[str, object], file: str) -> list[str]:
    """What the doctor's short form finds wrong on the first rows of a file."""
    from rewards.clinic.checks import Limits
    from rewards.clinic.rows import Patient, read_samples
    from rewards.doctor import diagnose

    patient = Patient(spec, options, read_samples([file], ROWS), source=file)
    findings = diagnose(patient, Limits(deadline=DEADLINE), short=True)
    return [f"{one.name}: {one.got}; need: {one.need}" for one in findings if one.ok is False]


def main(arguments: list[str] | None = None) -> None:
    """Load, judge, print."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with boundary(debug="--debug" in arguments):
        words = [a for a in arguments if a != "--debug"]
        if not words or words[0] in {"-h", "--help"}:
            print(f"usage: python -m rewards.check SPEC [--rows FILE] [option=value …]\n{FORMS}")
            raise SystemExit(0 if words else 2)
        file = None
        if "--rows" in words[:-1]:
            at = words.index("--rows")
            file = words[at + 1]
            del words[at : at + 2]
        options = dict(map(option, words[1:]))
        reward = load_reward(words[0], options)
        row = {"data_source": "check", "id": "check/0", "index": "0", "split": "test"}
        verdict = reward.judge(SAMPLE_RESPONSE, SAMPLE_GOLD, row)
        if verdict.status == "verifier_error" and file is None:
            raise RewardError(f"trivial sample: {verdict.detail}", fix="mend that line")
        for warning in _warnings(words[0], options, file) if file else []:
            print(f"warning: {warning}")
        print(f"reward {words[0]}: {verdict.status}, score {verdict.score:g} ({reward.where})")


if __name__ == "__main__":
    main()
