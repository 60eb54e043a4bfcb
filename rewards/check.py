"""`python -m rewards.check SPEC [option=value …]`: does this reward load, and does it answer?

In: a reward spec and its options. Out: one line on stdout and exit code 0, or the `RewardError`'s
line and exit code. Judges one trivial sample; says nothing on whether the reward is any good.
"""

from __future__ import annotations

import json
import sys

from conf.errors import RewardError, boundary
from rewards.loading import FORMS
from rewards.registry import load_reward

SAMPLE_RESPONSE = "2+2 is 4.\n#### 4"
SAMPLE_GOLD = "4"


def _option(argument: str) -> tuple[str, object]:
    key, found, text = argument.partition("=")
    if not found:
        raise RewardError(f"got {argument!r}, need option=value", fix=f"{argument}=…")
    try:
        return key, json.loads(text)
    except json.JSONDecodeError:
        return key, text


def main(arguments: list[str] | None = None) -> None:
    """Load, judge, print."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with boundary(debug="--debug" in arguments):
        words = [a for a in arguments if a != "--debug"]
        if not words or words[0] in {"-h", "--help"}:
            print(f"usage: python -m rewards.check SPEC [option=value …]\nSPEC: {FORMS}")
            raise SystemExit(0 if words else 2)
        reward = load_reward(words[0], dict(map(_option, words[1:])))
        row = {"data_source": "check", "id": "check/0", "index": "0", "split": "test"}
        verdict = reward.judge(SAMPLE_RESPONSE, SAMPLE_GOLD, row)
        if verdict.status == "verifier_error":
            raise RewardError(f"trivial sample: {verdict.detail}", fix="mend that line")
        print(f"reward {words[0]}: {verdict.status}, score {verdict.score:g} ({reward.where})")


if __name__ == "__main__":
    main()
