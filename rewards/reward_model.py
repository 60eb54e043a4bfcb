"""The `reward_model` reward: the score of verl's reward model, asked for through its router.

In: a response, the row's `messages` (or `question`), and what verl passes by itself where
`reward.reward_model.enable=true`: `reward_router_address` and `reward_model_tokenizer`. Out: a
`Verdict` with the component `reward_model`, so that a composition can add the model's score to a
checked one. The requests are those of verl's own reward loop: vLLM's `/classify` without an
activation, sglang's `/v1/embeddings`. No answer is a `verifier_error`, never a 0.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

from conf.errors import RewardError
from rewards.judge.client import Call, ServerError, post
from rewards.verdict import Verdict, gold_error, verifier_error

Engine = Literal["vllm", "sglang"]
ENGINES: Final[tuple[str, ...]] = get_args(Engine)


def rendered(chat: Sequence[Mapping[str, Any]], tokenizer: Any) -> str:
    """The chat as the reward model's template writes it, without a second beginning-of-text token.

    Args:
        chat: question and response.
        tokenizer: the reward model's, as verl passes it.
    """
    text = str(
        tokenizer.apply_chat_template(list(chat), add_generation_prompt=False, tokenize=False)
    )
    first = tokenizer.bos_token
    return text.removeprefix(first) if first else text


def request_of(engine: str, model: str, text: str) -> tuple[str, dict[str, Any]]:
    """Path and body of the request for a score."""
    if engine == "vllm":
        return "classify", {"model": model, "input": text, "use_activation": False}
    return "v1/embeddings", {"model": model, "input": text}


def score_of(engine: str, reply: Mapping[str, Any]) -> float:
    """The score in a reply.

    Raises:
        ValueError: there is none.
    """
    field = "probs" if engine == "vllm" else "embedding"
    try:
        score = float(reply["data"][-1][field][-1])
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"no data[-1].{field}[-1] in {str(reply)[:120]}") from error
    if not math.isfinite(score):
        raise ValueError(f"the score is {score}")
    return score


def grade_reward_model(
    response: str,
    gold: Any,
    *,
    model: str,
    engine: Engine = "vllm",
    threshold: float = 0.0,
    low: float = -20.0,
    high: float = 20.0,
    timeout_s: float = 120.0,
    retries: int = 3,
    messages: Any = None,
    question: str | None = None,
    reward_router_address: str | None = None,
    reward_model_tokenizer: Any = None,
) -> Verdict:
    """Judge one response.

    Args:
        response: the model's text.
        gold: not read.
        model: `reward.reward_model.model_path`.
        engine: `reward.reward_model.rollout.name`.
        threshold: score above which `acc` is 1.
        low: a lower score counts as this.
        high: a higher score counts as this: one outlier must not rule a group.
        timeout_s: seconds for the verdict, retries included.
        retries: requests after the first.
        messages: the chat, from the row.
        question: one user message, where the row has no chat.
        reward_router_address: from verl.
        reward_model_tokenizer: from verl.

    Raises:
        RewardError: verl runs no reward model.
        ValueError: an option has a value that cannot be.
    """
    if engine not in ENGINES or not low < high:
        raise ValueError(f"engine={engine!r} (of {ENGINES}), low={low!r} below high={high!r}")
    if not reward_router_address or reward_model_tokenizer is None:
        raise RewardError(
            "the reward_model reward was called without verl's router and tokenizer",
            fix="reward.reward_model.enable=true reward.reward_model.model_path=…",
        )
    chat = [{"role": "user", "content": question}] if messages is None else list(messages)
    if messages is None and question is None:
        return gold_error("a reward model needs the row's messages or question")
    chat.append({"role": "assistant", "content": response})
    text = rendered(chat, reward_model_tokenizer)
    path, body = request_of(engine, model, text)
    call = Call(f"http://{reward_router_address}/{path}", body, "", timeout_s, retries)
    try:
        raw = score_of(engine, post(call, time.monotonic() + timeout_s))
    except (ServerError, ValueError) as error:
        return verifier_error(f"the reward model gave no score: {error}")
    score = min(high, max(low, raw))
    held = raw > threshold
    return Verdict(
        score,
        float(held),
        "correct" if held else "wrong",
        components={"reward_model": score},
        detail=f"score {raw:g}",
    )
