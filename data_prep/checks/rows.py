"""What can be wrong with one row of a known kind.

In: the row as it stands in the file, JSON texts of our own schema unpacked. Out:
`(code, column, detail)` for each thing against it. A row is looked at alone; what needs others
(repeated ids, types that differ) is `data_prep.checks.files`' and `data_prep.check`'s.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from data_prep.checks.chat import (
    Found,
    chat_problems,
    shown,
    text_problems,
    tool_problems,
    weight_problems,
)
from data_prep.rows_schema import Kind

# What verl's own `default_compute_score` has a verifier for.
VERL_SOURCES: Final = frozenset(
    {
        "openai/gsm8k", "lighteval/MATH", "DigitalLearningGmbH/MATH-lighteval",
        "HuggingFaceH4/MATH-500", "math_dapo", "math", "math_dapo_reasoning",
        "numina_aops_forum", "numina_synthetic_math", "numina_amc_aime",
        "numina_synthetic_amc", "numina_cn_k12", "numina_olympiads", "codecontests", "apps",
        "codeforces", "taco", "hiyouga/geometry3k", "searchR1_nq", "searchR1_triviaqa",
        "searchR1_popqa", "searchR1_hotpotqa", "searchR1_2wikimultihopqa", "searchR1_musique",
        "searchR1_bamboogle",
    }
)  # fmt: skip
Length = Callable[[Kind, Mapping[str, Any]], int]


def _meta(holder: Mapping[str, Any], prefix: str) -> Iterator[Found]:
    """Index, split, id and licence, wherever the kind keeps them."""
    index = holder.get("index")
    if index is None or index == "":
        yield "index_missing", f"{prefix}index", "is not there"
    elif type(index) is not str:
        yield "index_value", f"{prefix}index", f"got {shown(index)}, need a string"
    for name, code in (("split", "split_missing"), ("id", "id_missing")):
        value = holder.get(name)
        if type(value) is not str or not value:
            yield code, f"{prefix}{name}", "is not there" if value is None else f"got {value!r:.40}"
    if not holder.get("licence"):
        yield "licence_missing", f"{prefix}licence", "is not there"


def rl_problems(row: Mapping[str, Any], reward: str | None = None) -> Iterator[Found]:
    """Everything against an RL row.

    Args:
        row: the row.
        reward: `verl`: verl's own verifiers will judge, so that `data_source` must be one of its.
    """
    prompt = row.get("prompt")
    yield from chat_problems(prompt, "prompt", plain=True)
    if type(prompt) is list and prompt and type(prompt[-1]) is dict:
        role = prompt[-1].get("role")
        if role == "assistant":
            yield "prompt_answered", f"prompt[{len(prompt) - 1}]", "ends with the assistant's turn"
    source = row.get("data_source")
    if type(source) is not str or not source.strip():
        yield "source_missing", "data_source", f"got {shown(source)}, need a name"
    elif reward == "verl" and source not in VERL_SOURCES and not source.startswith("aime"):
        yield "source_unknown", "data_source", f"verl has no verifier for {source!r:.60}"
    if not row.get("ability"):
        yield "ability_missing", "ability", "is not there"
    model = row.get("reward_model")
    if type(model) is not dict:
        yield "reward_missing", "reward_model", f"got {shown(model)}"
    else:
        yield from _gold(model.get("ground_truth"))
        if not model.get("style"):
            yield "style_missing", "reward_model.style", "is not there"
    extra = row.get("extra_info")
    if type(extra) is not dict:
        yield "extra_missing", "extra_info", f"got {shown(extra)}, need an object"
        return
    yield from _meta(extra, "extra_info.")
    for name in ("tools_kwargs", "interaction_kwargs"):
        given = extra.get(name)
        if given == {}:
            yield "empty_struct", f"extra_info.{name}", "is an object without keys"
        elif given is not None and type(given) is not dict:
            yield "tools_kwargs", f"extra_info.{name}", f"got {shown(given)}, need an object"
    if extra.get("need_tools_kwargs") and not extra.get("tools_kwargs"):
        yield (
            "tools_kwargs",
            "extra_info.tools_kwargs",
            "is not there, and need_tools_kwargs is set",
        )


def _gold(gold: Any) -> Iterator[Found]:
    column = "reward_model.ground_truth"
    if gold is None:
        yield "gold_missing", column, "is not there"
    elif type(gold) is not str:
        yield "gold_value", column, f"got {shown(gold)}, need a string"
    elif not gold.strip():
        yield "gold_empty", column, "is an empty string"
    elif not gold.isascii():
        yield from text_problems(gold, column)


def sft_problems(row: Mapping[str, Any]) -> Iterator[Found]:
    """Everything against an SFT row, its `chat` unpacked."""
    messages = row.get("messages")
    yield from chat_problems(messages, "messages", plain=False)
    if type(messages) is list and messages:
        roles = [message.get("role") for message in messages if type(message) is dict]
        known = [role for role in roles if role in ("assistant", "gpt", "bot", "model")]
        if not known:
            yield "no_assistant", "messages", f"turns of {', '.join(map(str, roles[:6]))} alone"
        elif roles[-1] in ("user", "system"):
            yield "answer_last", f"messages[{len(roles) - 1}]", f"ends with the {roles[-1]}'s turn"
    tools = row.get("tools")
    if tools is not None:
        yield from tool_problems(tools)
    if type(messages) is list and any(
        type(message) is dict and message.get("tool_calls") for message in messages
    ):
        yield from _called(messages, tools)
    thinking = row.get("enable_thinking")
    if thinking is not None and type(thinking) is not bool:
        yield "thinking_type", "enable_thinking", f"got {shown(thinking)}, need true or false"
    weight = row.get("weight")
    if weight is not None:
        yield from weight_problems(weight, "weight")
        if weight == 0:
            yield "weight_zero", "weight", "is 0"
    yield from _meta(row, "")


def _called(messages: list[Any], tools: Any) -> Iterator[Found]:
    """Calls of tools that are not declared."""
    names = {
        tool["function"].get("name")
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, Mapping) and isinstance(tool.get("function"), Mapping)
    }
    for n, message in enumerate(messages):
        calls = message.get("tool_calls") if type(message) is dict else None
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, Mapping) else None
            name = function.get("name") if isinstance(function, Mapping) else None
            if isinstance(name, str) and name not in names:
                yield "call_unknown", f"messages[{n}].tool_calls", f"calls {name!r}, not in tools"


def pair_problems(row: Mapping[str, Any], kind: Kind) -> Iterator[Found]:
    """Everything against a pair, of messages or of texts."""
    for name in ("prompt", "chosen", "rejected"):
        value = row.get(name)
        if kind == "reward_pairs":
            if value is None or value == "":
                yield "pair_missing", name, "holds no text"
            elif type(value) is not str:
                yield "column_type", name, f"got {shown(value)}, need a string"
            else:
                yield from text_problems(value, name)
            continue
        if name != "prompt" and not value:
            yield "pair_missing", name, "holds no answer"
            continue
        yield from chat_problems(value, name, plain=True)
        if type(value) is list and value and type(value[0]) is dict:
            first, last = value[0].get("role"), value[-1]
            if name != "prompt" and first in ("user", "system", "tool"):
                yield "pair_role", f"{name}[0].role", f"begins with the {first}'s turn"
            if name == "prompt" and type(last) is dict and last.get("role") == "assistant":
                yield "prompt_answered", "prompt", "ends with the assistant's turn"
    if row.get("chosen") and row.get("chosen") == row.get("rejected"):
        yield "pair_equal", "chosen", "is what rejected is"
    scores = []
    for name in ("score_chosen", "score_rejected"):
        value = row.get(name)
        number = type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
        if value is not None and not number:
            yield "score_value", name, f"got {shown(value)}, need a finite number"
        scores.append(value if number else None)
    if scores[0] is not None and scores[1] is not None and scores[0] < scores[1]:
        yield "pair_order", "score_chosen", f"{scores[0]} is below score_rejected {scores[1]}"
    yield from _meta(row, "")


def unpacked(kind: Kind, record: Mapping[str, Any]) -> tuple[dict[str, Any], Found | None]:
    """A record with the JSON texts of our schema unpacked, and what is against these."""
    row = dict(record)
    if kind == "rl":
        extra = row.get("extra_info")
        more = extra.get("more") if isinstance(extra, dict) else None
        if isinstance(extra, dict) and isinstance(more, str):
            found = _object(more)
            if found is None:
                return row, ("extra_json", "extra_info.more", f"got {more!r:.50}")
            rest = {name: value for name, value in extra.items() if name != "more"}
            row["extra_info"] = {**rest, **found}
    elif kind == "sft" and isinstance(row.get("chat"), str):
        found = _object(row["chat"])
        if found is None or "messages" not in found:
            return row, ("chat_json", "chat", f"got {row['chat']!r:.50}")
        row = {**{n: v for n, v in row.items() if n not in ("chat", "messages")}, **found}
    return row, None


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def row_problems(
    kind: Kind, record: Mapping[str, Any], reward: str | None = None
) -> Iterator[Found]:
    """Everything against a record of a file."""
    row, packed = unpacked(kind, record)
    if packed is not None:
        yield packed
        return
    if kind == "rl":
        yield from rl_problems(row, reward)
    elif kind == "sft":
        yield from sft_problems(row)
    else:
        yield from pair_problems(row, kind)
