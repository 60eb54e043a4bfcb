r"""Other projects' graders under names, to hold ours against: never a reward to train on.

In: a response and a gold answer, as any grader. Out: 1.0 or 0.0. verl's are read from its installed
files, not through its package, so that most load without torch; math-verify is the library's own.
For child processes alone (`rewards.audit` and `rewards.compare` start them): they hang, they print,
and `verl_prime_math` runs model text through `eval`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

ORACLES: Final[Mapping[str, str]] = {
    name: f"rewards.oracles:{name}"
    for name in (
        "math_verify",
        "verl_gsm8k",
        "verl_gsm8k_flexible",
        "verl_math_reward",
        "verl_math_dapo",
        "verl_prime_math",
    )
}
UNSAFE: Final = frozenset({"verl_prime_math"})  # runs text of the model as Python


@functools.cache
def _verl(name: str) -> Callable[..., Any]:
    """`compute_score` of a file in verl's reward_score folder, found without importing verl."""
    found = importlib.util.find_spec("verl")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("verl is not installed, and its graders are oracles from there")
    folder = Path(found.submodule_search_locations[0]) / "utils" / "reward_score"
    file = folder / f"{name}.py"
    if not file.is_file():
        file = folder / name / "__init__.py"
    spec = importlib.util.spec_from_file_location(f"temper_oracle_{name}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    function: Callable[..., Any] = module.compute_score
    return function


def verl_gsm8k(response: str, gold: str) -> float:
    """verl's GSM8K scorer: the number after the last `####` of the last 300 characters."""
    return float(_verl("gsm8k")(response, gold))


def verl_gsm8k_flexible(response: str, gold: str) -> float:
    """The same with its flexible extraction: the last number."""
    return float(_verl("gsm8k")(response, gold, method="flexible"))


def verl_math_reward(response: str, gold: str) -> float:
    r"""verl's MATH scorer: the last `\boxed`, normalised as the Minerva evaluation does."""
    return float(_verl("math_reward")(response, gold))


def verl_math_dapo(response: str, gold: str) -> float:
    """verl's DAPO scorer: `Answer: …`, or boxed, normalised."""
    return float(_verl("math_dapo")(response, gold)["acc"])


def verl_prime_math(response: str, gold: str) -> float:
    """verl's PRIME scorer."""
    said = _verl("prime_math")(response, gold)
    return float(said[0] if isinstance(said, tuple) else said)


def math_verify(response: str, gold: str) -> float:
    """math-verify, as its readme uses it; on the main thread, for its own time-outs."""
    library = importlib.import_module("math_verify")
    expected = library.parse(f"\\boxed{{{gold}}}")
    return float(library.verify(expected, library.parse(response)))
