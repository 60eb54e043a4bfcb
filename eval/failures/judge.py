"""A judge for wrong answers that no rule explains: slip, logic or knowledge, by a language model.

In: records of wrong answers and a judge's server (the fields of `rewards.judge.ask.Judge`). Out:
the cause of each, `unclear` where the judge abstains. It explains and never grades: a verdict stays
what the verifier said. The judged text is fenced and defused as in `rewards.judge`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from conf.errors import ConfigError
from eval.failures.classify import Failure, short_gold
from eval.failures.wrong import Sort
from rewards.judge.ask import Abstained, Judge, ask
from rewards.judge.prompt import conversation, messages

MOST: Final = 200  # questions to the judge for one task
CHARS: Final = 12_000
AT_ONCE: Final = 8
ASKED: Final[tuple[Sort, ...]] = ("slip", "logic", "knowledge", "unclear")
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "reasoning": {"type": "string"},
        "cause": {"type": "string", "enum": list(ASKED)},
    },
    "required": ["reasoning", "cause"],
    "additionalProperties": False,
}
TASK: Final = (
    "The RESPONSE to the QUESTION is wrong; the REFERENCE is the right answer. Name the first "
    "cause: slip (the plan is right, a calculation or a copied number is wrong), logic (a step "
    "does not follow, a condition is missed, another quantity is computed), knowledge (a fact, "
    "definition or theorem is missing or false), or unclear."
)
FORM: Final = (
    'Answer with one JSON object: {"reasoning": at most two sentences that name the first wrong '
    'step, "cause": "slip", "logic", "knowledge" or "unclear"}.'
)


def judge_from(settings: Mapping[str, Any]) -> Judge:
    """The judge of a configuration.

    Raises:
        ConfigError: a field is unknown or missing.
    """
    try:
        return Judge(**settings)
    except TypeError as error:
        raise ConfigError(
            f"judge: {error}", "judge.base_url=http://host:8000/v1 judge.model=NAME"
        ) from error


def explain(
    judge: Judge, records: Sequence[Mapping[str, Any]], found: Sequence[Failure | None]
) -> list[Failure | None]:
    """The classes, unclear wrong answers explained by the judge; at most 200, evenly spaced."""
    unclear = [at for at, one in enumerate(found) if one is not None and one.sort == "unclear"]
    if len(unclear) > MOST:
        unclear = [unclear[i * len(unclear) // MOST] for i in range(MOST)]
    result = list(found)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = pool.map(lambda at: _asked(judge, records[at]), unclear)
        for at, (sort, why) in zip(unclear, said, strict=True):
            before = result[at]
            assert before is not None
            result[at] = replace(before, sort=sort, why=why)
    return result


def _asked(judge: Judge, record: Mapping[str, Any]) -> tuple[Sort, str]:
    parts = {
        "QUESTION": conversation(record["prompt"])[:CHARS],
        "REFERENCE": short_gold(record) or json.dumps(record["ground_truth"])[:CHARS],
        "RESPONSE": str(record["response"])[-CHARS:],
    }
    try:
        answer = ask(judge, messages(parts, TASK, FORM), SCHEMA, json.dumps(SCHEMA, sort_keys=True))
    except Abstained as error:
        return "unclear", f"the judge abstained: {error}"
    return answer["cause"], f"judge: {str(answer['reasoning'])[:300]}"
