"""What the model is asked when it is to write instructions, and how its answers are read.

In: instructions. Out: the texts of requests, and the instructions in an answer. The words are our
own; the operations are those of Self-Instruct (arXiv:2212.10560) and Evol-Instruct
(arXiv:2304.12244). Asks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

NUMBERED = re.compile(r"(?im)^[ \t]*(?:task[ \t]*)?(\d{1,3})[.):][ \t]*")
DEEPEN: Final = {
    "constraint": "Add one more requirement or constraint that a good answer has to meet.",
    "depth": "Ask for more depth and breadth on the point that it already raises.",
    "concrete": "Replace general notions by more specific ones.",
    "reasoning": "Change it so that answering takes several explicit steps of reasoning.",
    "input": "Add a piece of data that the answer has to work on: a table, code, or a formula.",
}
BREADTH: Final = "breadth"
OPERATIONS: Final = (*DEEPEN, BREADTH)
THINK: Final = "Think step by step. Write the steps out, then give the final answer."


def more_tasks(examples: Sequence[str], count: int) -> str:
    """A request for further tasks, after examples."""
    shown = "\n".join(f"{n}. {' '.join(text.split())}" for n, text in enumerate(examples, start=1))
    first, last = len(examples) + 1, len(examples) + count
    return (
        "Below is a numbered list of tasks that people give to an assistant. Go on with tasks "
        f"{first} to {last}. Make them differ from the ones above and from one another in topic, "
        "form and verb; each complete in itself, answerable in text alone, at most 100 words. "
        f"Write the numbered tasks and nothing else.\n\n{shown}\n{first}."
    )


def tasks_in(answer: str, first: int) -> list[str]:
    """The tasks in a numbered list; the number of the first may be missing.

    Args:
        answer: of the model.
        first: number of the first task, which the request ended with.
    """
    marks = list(NUMBERED.finditer(answer))
    if not marks or answer[: marks[0].start()].strip():
        answer = f"{first}. {answer}"
        marks = list(NUMBERED.finditer(answer))
    ends = [mark.start() for mark in marks[1:]] + [len(answer)]
    found = (answer[m.end() : end].strip() for m, end in zip(marks, ends, strict=True))
    return [" ".join(task.split()) for task in found if task]


def evolve(instruction: str, operation: str) -> str:
    """A request to rewrite an instruction by one of `OPERATIONS`."""
    if operation == BREADTH:
        return (
            "Write one new prompt in the same field as the prompt below, about something rarer, of "
            "like length and difficulty. It must be complete in itself and answerable. Write the "
            f"new prompt and nothing else.\n\n#Prompt#\n{instruction}\n\n#New prompt#\n"
        )
    return (
        "Rewrite the prompt below into one that is somewhat harder for an assistant, and that a "
        f"person can still understand and answer. {DEEPEN[operation]} Leave its data, formulas and "
        "code in place, and add at most 20 words. Write the rewritten prompt and nothing else."
        f"\n\n#Prompt#\n{instruction}\n\n#Rewritten prompt#\n"
    )


_LEAKS = re.compile(
    r"#\s*(?:new|rewritten|given)?\s*prompt\s*#|\b(?:rewritten|given) prompt\b", re.I
)
_REFUSAL = re.compile(
    r"^\W*(?:i'?m sorry|sorry,|i apologi[sz]e|as an ai|i can(?:no|')t (?:help|assist|comply))", re.I
)


def evolution_failed(before: str, after: str) -> str:
    """Why a rewritten instruction is of no use; "" if it is (the eliminations of Evol-Instruct)."""
    if not any(letter.isalnum() for letter in after):
        return "evolved_empty"
    if _LEAKS.search(after):
        return "evolved_leaks_request"
    if _REFUSAL.search(after):
        return "refusal"
    if " ".join(after.lower().split()) == " ".join(before.lower().split()):
        return "evolved_same"
    return ""


def refused(answer: str) -> bool:
    """Whether an answer begins like a refusal."""
    return _REFUSAL.search(answer) is not None
