"""Answers to tasks: chains of thought, the best of N, and pairs of a better and a worse one.

In: tasks, a server, how many answers each, and a reward of `rewards.registry` (a verifier, a reward
model, a judge) or none. Out: graded answers, and the rows chosen of them. A verdict that broke is
no grade: such an answer is left out and counted, never a 0. Grades what the server said and nothing
else; filters come later.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from data_prep.synth.instructions import Task
from data_prep.synth.prompts import THINK, refused
from data_prep.synth.server import Answer, Server, seed_of
from rewards.registry import Reward

BATCH: Final = 64  # tasks whose answers are held at a time


@dataclass(frozen=True, slots=True)
class Graded:
    """One answer.

    Attributes:
        text: of the model.
        score: of the reward; NaN without one.
        acc: correctness in [0, 1]; NaN without a reward.
    """

    text: str
    score: float = math.nan
    acc: float = math.nan


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are asked for and chosen.

    Attributes:
        n: answers a task.
        think: ask for a chain of thought.
        system: system message; "" for none.
        reward: what grades them; None: nothing does.
        seed: of the sampling.
        least: score from which an answer may be learned from; None: it has to be correct (acc 1).
        per_task: most answers of a task to keep, the best first.
        gap: least difference of the scores of a pair.
    """

    n: int = 1
    think: bool = False
    system: str = ""
    reward: Reward | None = None
    seed: int = 1
    least: float | None = None
    per_task: int = 1
    gap: float = 0.5


def chat_of(task: Task, sampling: Sampling) -> list[dict[str, str]]:
    """The chat up to the model's turn, as the rows will have it."""
    system = task.system or sampling.system
    asked = [{"role": "user", "content": task.text}]
    return [{"role": "system", "content": system}, *asked] if system else asked


def _request(task: Task, sampling: Sampling) -> list[dict[str, str]]:
    """What the server is asked: the wish for a chain of thought is not part of the row."""
    chat = chat_of(task, sampling)
    if sampling.think:
        chat[-1] = {"role": "user", "content": f"{task.text}\n\n{THINK}"}
    return chat


def answered(
    server: Server, tasks: Sequence[Task], sampling: Sampling, lost: Counter[str]
) -> Iterator[tuple[Task, list[Graded]]]:
    """Each task with its usable answers, graded, in order and without repetitions."""
    for first in range(0, len(tasks), BATCH):
        some = tasks[first : first + BATCH]
        # A request's seed hangs on the task's text, not on its place: an answer kept from a run
        # over other tasks serves here too.
        payloads = [
            server.chat(_request(task, sampling), seed_of(sampling.seed, task.text, number))
            for task in some
            for number in range(sampling.n)
        ]
        answers = list(server.ask_all(payloads))
        jobs: list[tuple[Task, str]] = []
        texts: list[list[str]] = []
        for n, task in enumerate(some):
            mine = answers[n * sampling.n : (n + 1) * sampling.n]
            texts.append(list(dict.fromkeys(_texts(mine, lost))))
            jobs += [(task, text) for text in texts[-1]]
        with ThreadPoolExecutor(server.parallel) as pool:
            graded = iter(pool.map(lambda job: _grade(job[0], job[1], sampling), jobs))
            for task, mine_texts in zip(some, texts, strict=True):
                found = [next(graded) for _ in mine_texts]
                for one in found:
                    if isinstance(one, str):
                        lost[one] += 1
                yield task, [one for one in found if isinstance(one, Graded)]


def _texts(answers: Sequence[Answer], lost: Counter[str]) -> Iterator[str]:
    for answer in answers:
        if answer.problem:
            lost["server" if answer.problem.startswith("server") else answer.problem] += 1
        elif refused(answer.text):
            lost["refusal"] += 1
        else:
            yield answer.text.strip()


def _grade(task: Task, text: str, sampling: Sampling) -> Graded | str:
    """An answer with its grade, or why there is none."""
    if sampling.reward is None:
        return Graded(text)
    known: Mapping[str, Any] = {
        **task.row, "question": task.text, "prompt": chat_of(task, sampling), "id": task.origin,
    }  # fmt: skip
    verdict = sampling.reward.judge(text, task.gold, known)
    if verdict.broken:
        return verdict.status
    return Graded(text, verdict.score, verdict.acc)


def best(graded: Sequence[Graded], sampling: Sampling) -> list[Graded]:
    """The answers to learn from: good enough, the best first, then in the order of asking."""
    if sampling.reward is None:
        return list(graded[: sampling.per_task])
    if sampling.least is None:
        good = [one for one in graded if one.acc == 1.0]
    else:
        good = [one for one in graded if one.score >= sampling.least]
    return sorted(good, key=lambda one: -one.score)[: sampling.per_task]


def pair(graded: Sequence[Graded], sampling: Sampling) -> tuple[Graded, Graded] | None:
    """The best and the worst answer, where they differ enough and the best is good enough."""
    good = best(graded, sampling)
    if sampling.reward is None or not good:
        return None
    worst = min(graded, key=lambda one: one.score)
    return (good[0], worst) if good[0].score - worst.score >= sampling.gap else None


def rows(
    kind: str, task: Task, graded: Sequence[Graded], sampling: Sampling
) -> Iterator[dict[str, Any]]:
    """The raw rows of a kind that a task's answers give."""
    told = {"how": task.how, "origin": task.origin}
    chat = chat_of(task, sampling)
    if kind == "sft":
        for one in best(graded, sampling):
            turns = [*chat, {"role": "assistant", "content": one.text}]
            score = {} if math.isnan(one.score) else {"score": one.score}
            yield {"messages": turns, **score, **told}
        return
    found = pair(graded, sampling)
    if found is not None:
        chosen, rejected = found
        yield {
            "prompt": chat,
            "chosen": [{"role": "assistant", "content": chosen.text}],
            "rejected": [{"role": "assistant", "content": rejected.text}],
            "score_chosen": chosen.score,
            "score_rejected": rejected.score,
            **told,
        }
