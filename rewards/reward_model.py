"""The `reward_model` reward: the score of verl's reward model, asked for through its router.

In: a response, the row's `prompt` (or `question`), and what verl passes by itself where
`reward.reward_model.enable=true`: `reward_router_address` and `reward_model_tokenizer`. Out: a
`Verdict`, which a composition can add to a checked one: `math + 0.1*reward_model`. The requests are
those of verl's own reward loop: vLLM's `/classify` without an activation, sglang's
`/v1/embeddings`; without a tokenizer, vLLM applies its own chat template. A response cannot end its
own turn: control tokens that it spells out are broken. No answer is a `verifier_error`, never a 0.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

from conf.errors import RewardError
from rewards.judge.client import Call, ServerError, post
from rewards.judge.prompt import defused
from rewards.verdict import Verdict, gold_error, verifier_error

Engine = Literal["vllm", "sglang"]
ENGINES: Final[tuple[str, ...]] = get_args(Engine)
MANAGER: Final = "the reward manager of rewards/verl_manager.py passes it on; use it"


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


def request_of(
    engine: str, model: str, chat: Sequence[Mapping[str, Any]], tokenizer: Any
) -> tuple[str, dict[str, Any]]:
    """Path and body of the request for a score.

    Raises:
        RewardError: sglang scores text only, and without a tokenizer there is none.
    """
    if engine == "vllm":
        asked = {"messages": chat} if tokenizer is None else {"input": rendered(chat, tokenizer)}
        return "classify", {"model": model, **asked, "use_activation": False}
    if tokenizer is None:
        raise RewardError(
            "sglang needs the reward model's tokenizer, which was not passed on", MANAGER
        )
    return "v1/embeddings", {"model": model, "input": rendered(chat, tokenizer)}


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
    prompt: Any = None,
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
        prompt: the chat, from the row.
        question: one user message, where the row has no chat.
        reward_router_address: from verl.
        reward_model_tokenizer: from verl.

    Raises:
        RewardError: verl runs no reward model.
        ValueError: an option has a value that cannot be.
    """
    if engine not in ENGINES or not low < high:
        raise ValueError(f"engine={engine!r} (of {ENGINES}), low={low!r} below high={high!r}")
    if not reward_router_address:
        raise RewardError(
            "the reward_model reward was called without the address of verl's reward model",
            fix="reward.reward_model.enable=true reward.reward_model.model_path=…",
        )
    if prompt is None and question is None:
        return gold_error("a reward model needs the row's prompt or question")
    chat = [{"role": "user", "content": question}] if prompt is None else list(prompt)
    chat.append({"role": "assistant", "content": defused(response)})
    path, body = request_of(engine, model, chat, reward_model_tokenizer)
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
        detail=f"score {raw:g}",
    )
