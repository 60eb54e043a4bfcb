"""New instructions: Self-Instruct, Evol-Instruct, Magpie.

In: seed tasks (Magpie needs none), a server, a seed. Out: `Task`s in a fixed order, each new by
ROUGE-L, and counts of why others were left out. The same answers of the server give the same tasks,
however many requests are under way. Answers to the tasks are `data_prep.synth.answers`'.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from conf.errors import ConfigError
from data_prep.synth.novelty import Novelty
from data_prep.synth.prompts import (
    OPERATIONS,
    evolution_failed,
    evolve,
    more_tasks,
    refused,
    tasks_in,
)
from data_prep.synth.server import Answer, Server, seed_of

SHOWN: Final = 8  # examples in a request, as Self-Instruct shows
OWN_SHOWN: Final = 2  # of which so many may be new ones
ASKED: Final = 8  # new tasks asked for at a time
STALE: Final = 5  # rounds without a new task, then it is over
WORDS: Final = (3, 150)
# What opens the user's turn in the templates of the model families that people distil from.
PREFIXES: Final = {
    "chatml": "<|im_start|>user\n",
    "llama3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
    "gemma": "<start_of_turn>user\n",
    "mistral": "[INST] ",
}
STOPS: Final = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "[/INST]", "<|im_start|>")


@dataclass(frozen=True, slots=True)
class Task:
    """One question or instruction.

    Attributes:
        text: what is asked.
        origin: id of the row or task that it came from; "" if none.
        how: the method, and the operation where it has several.
        gold: the answer a verifier compares with; None if there is none.
        system: system message.
    """

    text: str
    origin: str = ""
    how: str = ""
    gold: str | None = None
    system: str = ""
    row: dict[str, object] = field(default_factory=dict)


def _fit(text: str) -> str:
    """Why a task is left out whatever the others are; "" if it is not."""
    words = len(text.split())
    if words < WORDS[0]:
        return "task_short"
    if words > WORDS[1]:
        return "task_long"
    return "refusal" if refused(text) else ""


def _take(text: str, novelty: Novelty, lost: Counter[str]) -> bool:
    reason = _fit(text) or ("" if novelty.is_new(text) else "task_not_new")
    if reason:
        lost[reason] += 1
        return False
    novelty.add(text)
    return True


def _usable(answer: Answer, lost: Counter[str]) -> bool:
    if answer.text:
        return True
    lost["server" if answer.problem.startswith("server") else "empty"] += 1
    return False


def self_instruct(
    server: Server, seeds: Sequence[Task], count: int, seed: int, lost: Counter[str]
) -> list[Task]:
    """Tasks after the example of others (arXiv:2212.10560): eight shown, of which two new ones.

    Raises:
        ConfigError: there are no seed tasks.
    """
    if not seeds:
        raise ConfigError("self_instruct needs seed tasks", fix="tasks=FILE")
    novelty = Novelty()
    for one in seeds:
        novelty.add(one.text)
    made: list[Task] = []
    stale, turn = 0, 0
    while len(made) < count and stale < STALE:
        payloads, before = [], len(made)
        # A round is planned on what the rounds before gave, so its requests can go all at once.
        asked = max(1, min(server.parallel, -(-(count - len(made)) // ASKED)))
        for _ in range(asked):
            chance = random.Random(seed_of(seed, "self_instruct", turn))
            own = chance.sample(made, min(OWN_SHOWN, len(made)))
            shown = chance.sample(list(seeds), min(SHOWN - len(own), len(seeds))) + own
            chance.shuffle(shown)
            request = more_tasks([one.text for one in shown], ASKED)
            message = {"role": "user", "content": request}
            payloads.append(server.chat([message], seed_of(seed, turn)))
            turn += 1
        shown_now = min(SHOWN, len(seeds) + min(OWN_SHOWN, before))
        for answer in server.ask_all(payloads):
            if not _usable(answer, lost):
                continue
            found = tasks_in(answer.text, shown_now + 1)
            if answer.problem == "cut" and found:
                found.pop()
            for text in found:
                if len(made) < count and _take(text, novelty, lost):
                    made.append(Task(text, how="self_instruct"))
        stale = stale + 1 if len(made) == before else 0
    return made


def evol_instruct(
    server: Server,
    seeds: Sequence[Task],
    count: int,
    seed: int,
    lost: Counter[str],
    rounds: int = 2,
) -> list[Task]:
    """Each task rewritten, round after round (arXiv:2304.12244); one that failed is tried again.

    Raises:
        ConfigError: there are no seed tasks.
    """
    if not seeds:
        raise ConfigError("evol_instruct needs seed tasks", fix="tasks=FILE")
    novelty = Novelty(0.95)  # a rewritten task may well be near to what it came from
    made: list[Task] = []
    current = list(seeds)
    for turn in range(rounds):
        chosen = [
            random.Random(seed_of(seed, "evolve", turn, n)).choice(OPERATIONS)
            for n in range(len(current))
        ]
        payloads = [
            server.chat(
                [{"role": "user", "content": evolve(one.text, how)}], seed_of(seed, turn, n)
            )
            for n, (one, how) in enumerate(zip(current, chosen, strict=True))
        ]
        after = list(current)
        for n, answer in enumerate(server.ask_all(payloads)):
            if len(made) >= count:
                break
            if not _usable(answer, lost):
                continue
            text = answer.text.strip()
            reason = "cut" if answer.problem else evolution_failed(current[n].text, text)
            if reason:
                lost[reason] += 1
            elif _take(text, novelty, lost):
                after[n] = Task(text, current[n].origin, f"evol_instruct/{chosen[n]}")
                made.append(after[n])
        current = after
    return made


def magpie(
    server: Server, count: int, seed: int, lost: Counter[str], prefix: str, system: str = ""
) -> list[Task]:
    """What an aligned model writes after the opening of the user's turn (arXiv:2406.08464).

    Args:
        server: that completes raw text.
        count: of tasks.
        seed: of the sampling.
        lost: counts why tasks were left out.
        prefix: the opening, or the name of one in `PREFIXES`.
        system: put before it as it stands, in the model's own template.
    """
    opening = system + PREFIXES.get(prefix, prefix)
    novelty = Novelty()
    made: list[Task] = []
    stale, turn = 0, 0
    while len(made) < count and stale < STALE:
        before = len(made)
        asked = min(count - len(made), 4 * server.parallel)
        payloads = [
            server.completion(opening, seed_of(seed, "magpie", turn + n), stop=list(STOPS[:4]))
            for n in range(asked)
        ]
        turn += asked
        for answer in server.ask_all(payloads):
            if not _usable(answer, lost):
                continue
            text = answer.text.strip()
            for stop in STOPS:
                text = text.partition(stop)[0].strip()
            if answer.problem:
                lost["cut"] += 1
            elif _take(text, novelty, lost):
                made.append(Task(text, how="magpie"))
        stale = stale + 1 if len(made) == before else 0
    return made
