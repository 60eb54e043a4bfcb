"""Find the program in a response: the fenced block that is the answer.

In: model text, and the names that the tests will call. Out: source text, or None. What stands
before `</think>` is no answer. Of several Python blocks the last that defines a wanted name counts,
else the last. A fence that is never closed counts to the end of the text: serving stacks often stop
at the closing fence. Whether the source compiles is found out elsewhere.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator
from typing import Final

PYTHON: Final = frozenset({"", "python", "python3", "py", "py3", "python2", "pycon", "code"})
_OPEN = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([^`\n]*)$")
MAX_CHARS: Final = 200_000
MAX_PROGRAM: Final = 100_000


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of each fenced block."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        opened = _OPEN.match(lines[at].rstrip("\r"))
        at += 1
        if not opened:
            continue
        fence = opened[2]
        close = re.compile(rf"^[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t\r]*$")
        start = at
        while at < len(lines) and not close.match(lines[at]):
            at += 1
        word = opened[3].strip().strip("{}.").split(" ")[0].split(",")[0].lower()
        yield word, "\n".join(lines[start:at])
        at += 1


def defines(source: str, name: str) -> bool:
    """Whether the source defines a function, a class or a variable of that name at any depth."""
    word = re.escape(name)
    pattern = rf"^[ \t]*(?:async )?(?:def|class)[ \t]+{word}\b|^{word}\s*="
    return re.search(pattern, source, re.MULTILINE) is not None


def extract_code(
    response: str, wanted: Collection[str] = (), *, require_fence: bool = True
) -> str | None:
    """The program in a response.

    Args:
        response: the model's text.
        wanted: names that the tests call.
        require_fence: False also takes a response without any fence as a program.
    """
    answer = response[-MAX_CHARS:].rpartition("</think>")[2]
    found = [
        textwrap.dedent(block)
        for language, block in _blocks(answer)
        if language in PYTHON and block.strip()
    ]
    if not found:
        bare = not require_fence and answer.strip() and "```" not in answer
        return answer if bare and len(answer) <= MAX_PROGRAM else None
    fitting = [block for block in found if any(defines(block, name) for name in wanted)]
    chosen = (fitting or found)[-1]
    return chosen if len(chosen) <= MAX_PROGRAM else None
