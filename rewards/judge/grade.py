"""The `judge` and `rubric` rewards: a language model grades, on a scale or point by point.

In: a response, the row's question (`question` as text, or
`prompt` as a chat), perhaps a gold
reference, and a server. Out: a `Verdict`. A judge that does not answer in the asked form abstains:
`verifier_error`, no score, the sample is dropped and counted; a parse failure never becomes a 0.
Prompt, transport and limits are in the modules beside. A judge's opinion is not ground truth:
`rewards.audit` compares it with another reward.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any, Final

from conf.errors import RewardError
from rewards.judge.ask import Abstained, Judge, ask
from rewards.judge.prompt import conversation, messages
from rewards.verdict import Verdict, gold_error, verifier_error

MAX_CHARS: Final = 100_000  # of a response shown to a judge
_NAMES: Final = frozenset(item.name for item in fields(Judge) if not item.name.startswith("_"))


@lru_cache(maxsize=32)
def _judge(settings: tuple[tuple[str, Any], ...]) -> Judge:
    return Judge(**dict(settings))


def judge_from(server: Mapping[str, Any], router: str | None) -> Judge:
    """The judge that the options describe.

    Args:
        server: the fields of `Judge`.
        router: address of verl's reward-model server, which serves where `base_url` is `router`.

    Raises:
        RewardError: a field is unknown or missing.
    """
    settings = dict(server)
    unknown = settings.keys() - _NAMES
    if unknown:
        raise RewardError(
            f"a judge's server has no {', '.join(sorted(unknown))}",
            fix=f"server takes {', '.join(sorted(_NAMES))}",
        )
    if settings.get("base_url") == "router":
        if not router:
            raise RewardError(
                "base_url=router, but verl runs no reward model",
                fix="reward.reward_model.enable=true",
            )
        settings["base_url"] = f"http://{router}/v1"
    if "base_url" not in settings or "model" not in settings:
        raise RewardError("a judge's server needs base_url and model", fix="server.base_url=…")
    return _judge(tuple(sorted(settings.items())))


def _shown(response: str, question: Any, prompt: Any, gold: Any) -> dict[str, str] | str:
    """The texts to show by name; a text instead says what the row lacks."""
    asked = question if question is not None else prompt
    if asked is None or (hasattr(asked, "__len__") and not len(asked)):
        return "a judge needs the row's question or prompt"
    parts = {"QUESTION": conversation(asked), "RESPONSE": response}
    if gold is not None:
        if not isinstance(gold, str) or not gold.strip():
            return f"the reference answer {gold!r} is no text"
        parts["REFERENCE"] = gold
    return parts


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def grade_judge(
    response: str,
    gold: Any,
    *,
    server: Mapping[str, Any],
    criteria: str = "Is the response a correct and complete answer to the question?",
    scale: int = 10,
    pass_mark: float = 0.5,
    use_gold: bool = True,
    question: str | None = None,
    prompt: Any = None,
    reward_router_address: str | None = None,
) -> Verdict:
    """A grade from 0 to `scale`, scaled to [0, 1].

    Args:
        response: the model's text.
        gold: the reference answer.
        server: the fields of `rewards.judge.ask.Judge`.
        criteria: what to grade.
        scale: the best grade, 1…100.
        pass_mark: share of the scale from which on `acc` is 1.
        use_gold: show the reference; False judges without one.
        question: from the row.
        prompt: the chat of the row, where it has no question.
        reward_router_address: from verl, for `base_url=router`.

    Raises:
        RewardError: the server's options cannot work.
    """
    if not isinstance(scale, int) or not 1 <= scale <= 100 or not 0.0 <= pass_mark <= 1.0:
        raise ValueError(
            f"needs scale in 1…100 and pass_mark in [0, 1], got {scale!r}, {pass_mark!r}"
        )
    judge = judge_from(server, reward_router_address)
    if use_gold and gold is None:
        return gold_error("the row has no reference answer (use_gold=false judges without one)")
    parts = _shown(response, question, prompt, gold if use_gold else None)
    early = _early(parts, response)
    if early is not None:
        return early
    schema = _object(
        {
            "reasoning": {"type": "string"},
            "grade": {"type": "integer", "enum": list(range(scale + 1))},
        }
    )
    task = f"Grade the RESPONSE to the QUESTION. {criteria}"
    if use_gold:
        task += " The REFERENCE is a correct answer."
    form = (
        'Answer with one JSON object: {"reasoning": a few sentences, "grade": a whole number from '
        f"0 (worst) to {scale} (best)}}."
    )
    answer = _asked(judge, parts, task, form, schema)
    if isinstance(answer, Verdict):
        return answer
    score = int(answer["grade"]) / scale
    held = score >= pass_mark
    return Verdict(
        score,
        float(held),
        "correct" if held else "wrong",
        pred=str(answer["grade"]),
        detail=str(answer["reasoning"])[:300],
    )


def _early(parts: Mapping[str, str] | str, response: str) -> Verdict | None:
    """A verdict that needs no judge."""
    if isinstance(parts, str):
        return gold_error(parts)
    if not response.strip():
        return Verdict(0.0, 0.0, "unparseable", detail="empty response")
    if len(response) > MAX_CHARS:
        return Verdict(
            0.0,
            0.0,
            "unparseable",
            detail=f"{len(response)} characters; a judge reads at most {MAX_CHARS}",
        )
    return None


def _asked(
    judge: Judge, parts: Mapping[str, str] | str, task: str, form: str, schema: Mapping[str, Any]
) -> dict[str, Any] | Verdict:
    assert not isinstance(parts, str)  # `_early` took that case
    text = json.dumps(schema, sort_keys=True)
    try:
        return ask(judge, messages(parts, task, form), schema, text)
    except Abstained as error:
        return verifier_error(f"abstained: {error}")


def _criteria(rubric: Any) -> list[tuple[str, float]]:
    """Criterion and weight of each point.

    Raises:
        ValueError: the rubric is none.
    """
    if isinstance(rubric, str):
        rubric = json.loads(rubric)
    if hasattr(rubric, "tolist"):  # numpy's, from Parquet
        rubric = rubric.tolist()
    if isinstance(rubric, Mapping) or not isinstance(rubric, Sequence):
        raise ValueError(f"a rubric is a list of points, got {str(rubric)[:80]!r}")
    points = []
    for point in rubric:
        given = {"criterion": point} if isinstance(point, str) else dict(point)
        text, weight = given.get("criterion"), given.get("weight")
        weight = given.get("points", 1.0) if weight is None else weight
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"a point without a criterion: {point!r}")
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not weight:
            raise ValueError(f"a point's weight is a number other than 0, got {weight!r}")
        points.append((text, float(weight)))
    if not any(weight > 0 for _, weight in points):
        raise ValueError("no point of the rubric has a positive weight")
    return points


def grade_rubric(
    response: str,
    gold: Any,
    *,
    server: Mapping[str, Any],
    rubric: Any = None,
    pass_mark: float = 1.0,
    question: str | None = None,
    prompt: Any = None,
    reward_router_address: str | None = None,
) -> Verdict:
    """The weight of the points met, as a share of the positive weights, clamped to [0, 1].

    Args:
        response: the model's text.
        gold: the row's rubric, where the option is None: a list (or its JSON) of criteria, or of
            `{"criterion": …, "weight": …}`. A negative weight is a fault that costs.
        server: the fields of `rewards.judge.ask.Judge`.
        rubric: one rubric for all rows.
        pass_mark: share from which on `acc` is 1.
        question: from the row.
        prompt: the chat of the row, where it has no question.
        reward_router_address: from verl, for `base_url=router`.

    Raises:
        RewardError: the server's options cannot work.
    """
    if not 0.0 <= pass_mark <= 1.0:
        raise ValueError(f"pass_mark must lie in [0, 1], got {pass_mark!r}")
    judge = judge_from(server, reward_router_address)
    try:
        points = _criteria(gold if rubric is None else rubric)
    except (TypeError, ValueError) as error:
        return gold_error(f"rubric: {error}")
    parts = _shown(response, question, prompt, None)
    early = _early(parts, response)
    if early is not None:
        return early
    names = [f"c{number}" for number in range(1, len(points) + 1)]
    schema = _object({"reasoning": {"type": "string"}, **{n: {"type": "boolean"} for n in names}})
    listed = "\n".join(f"{n}: {text}" for n, (text, _) in zip(names, points, strict=True))
    task = f"For each point, say whether the RESPONSE to the QUESTION meets it.\n{listed}"
    form = (
        'Answer with one JSON object: "reasoning", a few sentences, and for each point its name '
        f"with true or false: {', '.join(names)}."
    )
    answer = _asked(judge, parts, task, form, schema)
    if isinstance(answer, Verdict):
        return answer
    met = [bool(answer[name]) for name in names]
    whole = sum(weight for _, weight in points if weight > 0)
    got = sum(weight for (_, weight), hit in zip(points, met, strict=True) if hit)
    score = min(1.0, max(0.0, got / whole))
    held = score >= pass_mark
    return Verdict(
        score,
        float(held),
        "correct" if held else "wrong",
        pred="".join("1" if hit else "0" for hit in met),
        detail=str(answer["reasoning"])[:300],
    )
