"""The `ifeval` reward: are all instructions followed, strictly or loosely?

In: a response, and a row's gold in one of the formats of `rows`. Out: a `Verdict` whose components
hold both readings, whichever one the score takes. Loosely, an instruction is followed if one of
eight readings of the response follows it: with or without its first line, its last line, and its
asterisks (arXiv 2311.07911, section 2.2). Does not ask whether the response answers the prompt.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

from rewards.ifeval.arguments import GoldProblem
from rewards.ifeval.instructions import Instruction
from rewards.ifeval.rows import instructions
from rewards.verdict import Verdict, gold_error

Reading = Literal["strict", "loose"]
READINGS: Final[tuple[str, ...]] = get_args(Reading)
Scoring = Literal["all", "share"]
SCORINGS: Final[tuple[str, ...]] = get_args(Scoring)
THINK_END: Final = "</think>"


def loose_readings(response: str) -> list[str]:
    """The eight readings, the response itself first."""
    lines = response.split("\n")
    cut = [
        response,
        "\n".join(lines[1:]).strip(),
        "\n".join(lines[:-1]).strip(),
        "\n".join(lines[1:-1]).strip(),
    ]
    return cut + [text.replace("*", "") for text in cut]


def followed_loosely(instruction: Instruction, readings: list[str]) -> bool:
    """Whether one of the readings follows the instruction."""
    return any(instruction.followed(reading) for reading in readings)


def grade_ifeval(
    response: str,
    gold: Any,
    *,
    reading: Reading = "strict",
    scoring: Scoring = "all",
    after_think: bool = False,
) -> Verdict:
    """Judge one response.

    Args:
        response: the model's text.
        gold: the row's instructions.
        reading: `strict` or `loose`.
        scoring: `all`: 1 if every instruction is followed, else 0. `share`: the share of them.
        after_think: judge only what follows the last `</think>`; a response without one is
            unparseable. For models that reason before they answer.

    Raises:
        ValueError: an option has a value that does not exist.
    """
    if reading not in READINGS or scoring not in SCORINGS:
        raise ValueError(f"reading={reading!r} (of {READINGS}), scoring={scoring!r} ({SCORINGS})")
    try:
        asked = instructions(gold)
    except GoldProblem as problem:
        return gold_error(str(problem))
    text = response
    if after_think:
        text = response.rpartition(THINK_END)[2] if THINK_END in response else ""
    readings = loose_readings(text)
    strict = [one.followed(text) for one in asked]
    loose = [hit or followed_loosely(one, readings) for one, hit in zip(asked, strict, strict=True)]
    counted = strict if reading == "strict" else loose
    every = float(all(counted))
    components = {
        "strict_all": float(all(strict)),
        "strict_share": sum(strict) / len(strict),
        "loose_all": float(all(loose)),
        "loose_share": sum(loose) / len(loose),
    }
    missed = [one.id for one, hit in zip(asked, counted, strict=True) if not hit]
    return Verdict(
        score=every if scoring == "all" else sum(counted) / len(counted),
        acc=every,
        status="correct" if every else ("wrong" if text.strip() else "unparseable"),
        pred="".join("1" if hit else "0" for hit in counted),
        components=components,
        detail=f"not followed: {', '.join(missed)}" if missed else "",
    )
