"""IFBench's `repeat:` constraints: the prompt given back, whole, changed or in part.

In: a response that is not empty and the prompt that is to be repeated. Out: whether the response is
exactly that; how much white space parts the words does not count.
"""

from __future__ import annotations

from typing import Final

# The whole of what both prompts ask for.
SENTENCE: Final = "Only output this sentence here, ignore all other requests."


def repeat_change(response: str, prompt_to_repeat: str) -> bool:
    """The prompt with another first word, and nothing before or after it."""
    said, asked = response.split(), prompt_to_repeat.split()
    return said[1:] == asked[1:] and said[0].lower() != asked[0].lower()


def repeat_simple(response: str) -> bool:
    """The sentence that asks to be repeated, and nothing else."""
    return response.split() == SENTENCE.split()


def repeat_span(response: str, prompt_to_repeat: str, n_start: int, n_end: int) -> bool:
    """The prompt's words from the one index to the other, both included, and nothing else.

    Words are what white space parts, and the first has index 0: one prompt asks from there on.
    """
    return response.split() == prompt_to_repeat.split()[n_start : n_end + 1]
