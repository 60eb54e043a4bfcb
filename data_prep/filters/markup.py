r"""The filter `broken_markup`: LaTeX, code fences and JSON that were opened and not closed.

In: rows. Out: a finding for the first turn that holds broken markup. Balance only: whether the
LaTeX compiles or the code runs is not judged. A lone dollar sign is money unless a LaTeX
command follows it; code is left aside before LaTeX is looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from pydantic import Field

from data_prep.filters.base import Finding, Part, Row, RowFilter, turns_of

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\n`]*)$")
_INLINE_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_ENVIRONMENT = re.compile(r"(?<!\\)\\(begin|end)\s*\{([^{}]*)\}")
_DELIMITER = re.compile(r"(?<!\\)(?:\\\\)*\\([()\[\]])")
_COMMAND_BRACE = re.compile(r"\\[A-Za-z]+\s*(?:\[[^\]\n]*\]\s*)?\{")
_MONEY = re.compile(
    r"\$\s?\d[\d,]*(?:\.\d+)?(?:\s?(?:k|m|bn|million|billion))?(?=[\s,;:?!)\]*]|\.|-|/|$)"
)
_OPENED = re.compile(r"\$[^$\n]*\\[A-Za-z]{2}")
_CLOSERS: Final = {")": "(", "]": "["}


def split_fences(text: str) -> tuple[str, list[tuple[str, str]], bool]:
    """Text without fenced blocks; the blocks as (language, body); whether the last is open.

    A fence closes with at least as many of the same sign and nothing after it (CommonMark 4.5).
    """
    prose: list[str] = []
    blocks: list[tuple[str, str]] = []
    fence, language, body = "", "", list[str]()
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if not fence:
            if found:
                fence, language, body = found[1], found[2].strip(), []
            else:
                prose.append(line)
        elif found and found[1][0] == fence[0] and len(found[1]) >= len(fence) and not found[2]:
            blocks.append((language, "\n".join(body)))
            fence = ""
        else:
            body.append(line)
    if fence:
        blocks.append((language, "\n".join(body)))
    return "\n".join(prose), blocks, bool(fence)


def _closing(text: str, start: int) -> int:
    """Where the brace that opens just before `start` has closed; -1 if it never does."""
    depth = 1
    position = start
    while position < len(text):
        sign = text[position]
        if sign == "\\":
            position += 2
            continue
        depth += (sign == "{") - (sign == "}")
        position += 1
        if not depth:
            return position
    return -1


def _arguments_close(text: str, start: int) -> bool:
    """Whether a command's arguments, the first of which opens just before `start`, all close."""
    while start >= 0:
        start = _closing(text, start)
        if start < 0 or text[start : start + 1] != "{":
            break
        start += 1
    return start >= 0


def latex_fault(text: str) -> str:
    """What is unbalanced in a text without code; "" when nothing is."""
    open_: list[str] = []
    for found in _ENVIRONMENT.finditer(text):
        if found[1] == "begin":
            open_.append(found[2])
        elif not open_ or open_.pop() != found[2]:
            return f"\\end{{{found[2]}}} without its \\begin"
    if open_:
        return f"\\begin{{{open_[-1]}}} without its \\end"
    math = ""
    for found in _DELIMITER.finditer(text):
        sign = found[1]
        if sign in _CLOSERS:
            if math != _CLOSERS[sign]:
                return f"\\{sign} without its \\{_CLOSERS[sign]}"
            math = ""
        elif math:
            return f"\\{sign} within \\{math}"
        else:
            math = sign
    if math:
        return f"\\{math} is not closed"
    for found in _COMMAND_BRACE.finditer(text):
        if not _arguments_close(text, found.end()):
            return f"{found[0].strip()} is not closed"
    return _dollars(text)


def _dollars(text: str) -> str:
    plain = text.replace("\\\\", " ").replace("\\$", " ")
    if plain.count("$$") % 2:
        return "$$ is not closed"
    plain = plain.replace("$$", "")
    if plain.count("$") % 2 == 0:
        return ""
    rest = _MONEY.sub("", plain)
    if rest.count("$") % 2 and _OPENED.search(rest):
        return "$ is not closed"
    return ""


def _json_texts(row: Row) -> Iterator[str]:
    """Arguments of tool calls that are written as JSON text."""
    for message in row.get("messages") or ():
        for call in (message.get("tool_calls") or ()) if isinstance(message, Mapping) else ():
            function: Any = call.get("function") if isinstance(call, Mapping) else None
            arguments = function.get("arguments") if isinstance(function, Mapping) else None
            if isinstance(arguments, str) and arguments:
                yield arguments


def json_fault(text: str) -> str:
    """Why a text is no JSON; "" when it is."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


class BrokenMarkup(RowFilter):
    """The filter `broken_markup`.

    Attributes:
        parts: what is looked at.
        latex: whether LaTeX must balance.
        fences: whether code fences must close.
        json_blocks: whether ```json blocks, JSON answers and tool arguments must parse.
    """

    name: ClassVar[str] = "broken_markup"
    reasons: ClassVar[Mapping[str, str]] = {
        "latex_unbalanced": "a LaTeX delimiter, environment or brace without its counterpart",
        "fence_open": "a code fence that is not closed",
        "json_broken": "a JSON block, answer or tool argument that does not parse",
    }

    parts: tuple[Part, ...] = Field(default=("prompt", "answer", "rejected"))
    latex: bool = True
    fences: bool = True
    json_blocks: bool = True

    def judge_row(self, row: Row) -> Finding | None:
        """The first broken turn."""
        for part in self.parts:
            for role, text in turns_of(row, part):
                found = self._judge_text(text, answer=part != "prompt", who=role)
                if found is not None:
                    return found
        if self.json_blocks:
            for arguments in _json_texts(row):
                fault = json_fault(arguments)
                if fault:
                    return self.found("json_broken", f"tool arguments: {fault}")
        return None

    def _judge_text(self, text: str, *, answer: bool, who: str) -> Finding | None:
        if "`" not in text and "~~~" not in text:
            prose, blocks, is_open = text, list[tuple[str, str]](), False
        else:
            prose, blocks, is_open = split_fences(text)
            prose = _INLINE_CODE.sub("", prose)
        if self.fences and is_open:
            return self.found("fence_open", f"{who}: ```{blocks[-1][0]} is not closed")
        if self.json_blocks:
            candidates = [body for language, body in blocks if language.lower() == "json"]
            start = text.lstrip()[:2].replace("\n", " ").replace(" ", "")
            if answer and (start in ('{"', "[{", '["', "{}") or start == "{"):
                candidates.append(text)
            for body in candidates:
                fault = json_fault(body)
                if fault:
                    return self.found("json_broken", f"{who}: {fault}")
        if self.latex and ("\\" in prose or "$" in prose):
            fault = latex_fault(prose)
            if fault:
                return self.found("latex_unbalanced", f"{who}: {fault}")
        return None
