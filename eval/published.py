"""Accuracies that others published, to hold ours against: a table with its sources.

In: a model's name and a task. Out: `Published` entries. A published number is one run under its
own prompt, few-shot examples and answer extraction, mostly without an interval; where the makers'
prompt is not known, `how` says so. Measures nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

QWEN25: Final = "Qwen2.5 release notes (qwenlm.github.io/blog/qwen2.5-llm), instruct models"
VERL: Final = "verl documentation, algorithm baselines, GSM8K"
DAPO: Final = "DAPO, arXiv 2503.14476, AIME 2024 avg@32"
# Items of the benchmark as it is usually reported; another number is another question.
SIZES: Final = {
    **{"gsm8k": 1319, "math": 5000, "math500": 500, "humaneval": 164, "ifeval": 541},
    **{"aime24": 30, "aime25": 30, "amc23": 40, "svamp": 1000},
}
SAME: Final = {"math500": "math"}  # a 500-item part, held against the whole


class Published(NamedTuple):
    """One published accuracy, as a share of 1."""

    model: str
    task: str
    accuracy: float
    source: str
    how: str = "zero-shot chat, as the makers report it; their prompt is not part of the table"


def _qwen(size: str, *percents: float) -> list[Published]:
    tasks = ("gsm8k", "math", "humaneval", "mbpp", "ifeval")
    return [
        Published(f"Qwen2.5-{size}-Instruct", task, percent / 100, QWEN25)
        for task, percent in zip(tasks, percents, strict=True)
    ]


def _trained(model: str, percent: float, task: str = "gsm8k", source: str = VERL) -> Published:
    return Published(model, task, percent / 100, source, "after training, the recipe's own prompt")


TABLE: Final[tuple[Published, ...]] = (
    *_qwen("0.5B", 49.6, 34.4, 35.4, 49.6, 27.9),
    *_qwen("1.5B", 73.2, 55.2, 61.6, 63.2, 42.5),
    *_qwen("3B", 86.7, 65.9, 74.4, 72.7, 58.2),
    *_qwen("7B", 91.6, 75.5, 84.8, 79.2, 71.2),
    _trained("Qwen2.5-0.5B-Instruct+PPO", 56.7),
    _trained("Qwen2.5-0.5B-Instruct+GRPO-LoRA", 54.3),
    _trained("Qwen2.5-1.5B-Instruct+GRPO-LoRA", 77.9),
    _trained("Qwen2.5-3B-Instruct+GRPO-LoRA", 86.1),
    _trained("Qwen2.5-7B-Instruct+GRPO-LoRA", 93.4),
    _trained("Qwen2-7B-Instruct+GRPO", 89.4),
    _trained("DAPO-Qwen-32B", 50.0, "aime24", DAPO),
)


def known_model(name: str) -> str | None:
    """The table's model that a name, a hub id or a folder means; None where there is none.

    A component of the path must be the name, but for capitals and signs: what was trained from a
    model is not that model.
    """
    parts = [_plain(part) for part in re.split(r"[/\\]", name) if part]
    fitting = [model for model in models() if _plain(model) in parts]
    return max(fitting, key=len) if fitting else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.+]", "", name.lower())


def models() -> list[str]:
    """The models of the table."""
    return list(dict.fromkeys(entry.model for entry in TABLE))


def published(model: str, task: str) -> Published | None:
    """What is published of a model on a task; a task that is a part of another counts as it."""
    name = re.sub(r"[^a-z0-9]", "", task.lower().rpartition("/")[2])
    return _find(model, (name, SAME.get(name, name)))


def _find(model: str, tasks: Iterable[str]) -> Published | None:
    wanted = list(tasks)
    return next((one for one in TABLE if one.model == model and one.task in wanted), None)
