"""Read a row's tests, in the shapes in which code data sets write them.

In: the row's ground truth, a mapping, list, JSON text or test source. Out: a `Suite`, or a
`ValueError` that says what is missing (the caller's `gold_error`). Shapes: `inputs` + `outputs`
with or without `fn_name`; a list of `{"input", "output"}`; `test` + `entry_point` (HumanEval);
`test_list` with set-up and imports (MBPP); a list of asserts; `inputs` + `entry_point` +
`reference`, whose outputs the reference gives (MBPP+). Never unpickles.
"""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rewards.code.asserts import Direct, General, Test, called, split
from rewards.code.extract import defines

# A LeetCode solution is written against names that its site imports.
PRELUDE: Final = (
    "from typing import *\nfrom collections import *\nfrom functools import *\n"
    "from itertools import *\nfrom heapq import *\nfrom bisect import *\n"
    "import bisect, collections, copy, datetime, functools, heapq, itertools, math, operator, "
    "random, re, string, sys\nfrom math import inf, gcd, sqrt, ceil, floor, comb, factorial\n"
)


@dataclass(frozen=True, slots=True)
class Case:
    """One test with an input and an expected output.

    Attributes:
        given: text for standard input, or a list of arguments.
        expected: text, or a value; None with `Suite.outputs_from_reference`.
    """

    given: Any
    expected: Any


@dataclass(frozen=True, slots=True)
class Suite:
    """A row's tests.

    Attributes:
        kind: `stdin`, `calls` or `asserts`.
        cases: of the first two kinds.
        tests: of the third.
        entry: the function that is called; "" when the tests name it themselves.
        wrapped: each expected value stands in a list of one, as APPS writes it; both count.
        prompt: source that the response goes on from, with helpers the tests use.
        imports: source for the tests.
        setup: source that runs after the program, among its names.
        reference: a program that passes, "" when the row has none.
        outputs_from_reference: what is expected is what the reference returns.
        atol: the row's own tolerance for floats.
    """

    kind: str
    cases: tuple[Case, ...] = ()
    tests: tuple[Test, ...] = ()
    entry: str = ""
    wrapped: bool = False
    prompt: str = ""
    imports: str = ""
    setup: str = ""
    reference: str = ""
    outputs_from_reference: bool = False
    atol: float | None = None

    @property
    def size(self) -> int:
        """Number of tests."""
        return len(self.cases) + len(self.tests)

    @property
    def names(self) -> set[str]:
        """Names by which a block of a response is known to be the program."""
        found = {self.entry, "Solution"} if self.entry else set()
        for test in self.tests:
            found |= called(test.expression if isinstance(test, Direct) else test.source)
        return found - {"check"}

    def program(self, code: str) -> str:
        """The whole program of a response: after a prompt, code may be all of it or its end."""
        if self.kind == "calls":
            return f"{PRELUDE}\n{code}"
        if not self.prompt:
            return code
        if defines(code, self.entry):
            whole = f"{self.prompt}\n\n{code}"  # the prompt's imports and helpers, then all anew
            return whole if _compiles(whole) else code
        for rest in (textwrap.indent(code, "    "), code):
            if _compiles(self.prompt + rest):
                return self.prompt + rest
        return self.prompt + code


def _compiles(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the parser's word for depth
        return False
    return True


def _plain(value: Any) -> Any:
    """Arrays as lists, all the way down."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return value if isinstance(value, str) else str(value)


def _arguments(given: Any) -> list[Any]:
    """Arguments as a list; as text they are JSON, one to a line."""
    if isinstance(given, str):
        return [json.loads(line) for line in given.split("\n") if line.strip()]
    if not isinstance(given, list):
        raise ValueError(f"arguments must be a list, got {type(given).__name__}")
    return given


def _expected(output: Any) -> Any:
    """A call's expected value; text is JSON, or itself where it is none."""
    if not isinstance(output, str):
        return output
    try:
        return json.loads(output)
    except ValueError:
        return output


def _pairs(gold: Mapping[str, Any]) -> Suite:
    inputs = gold["inputs"]
    entry = str(gold.get("fn_name") or gold.get("entry_point") or "")
    atol = gold.get("atol")
    common: dict[str, Any] = {
        "entry": entry,
        "reference": _reference(gold),
        "atol": None if atol is None else float(atol),
    }
    if "outputs" not in gold:
        if not (entry and common["reference"]):
            raise ValueError("inputs without outputs need entry_point and reference")
        cases = tuple(Case(_arguments(given), None) for given in inputs)
        return Suite("calls", cases, outputs_from_reference=True, **common)
    outputs = gold["outputs"]
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        raise ValueError("inputs and outputs must be lists")
    if len(inputs) != len(outputs):
        raise ValueError(f"{len(inputs)} inputs and {len(outputs)} outputs")
    pairs = list(zip(inputs, outputs, strict=True))
    if not entry:
        return Suite("stdin", tuple(Case(_text(a), _text(b)) for a, b in pairs), **common)
    wrapped = all(isinstance(output, list) and len(output) == 1 for output in outputs)
    cases = tuple(Case(_arguments(a), _expected(b)) for a, b in pairs)
    return Suite("calls", cases, wrapped=wrapped, **common)


def _listed(rows: list[Any], gold: Mapping[str, Any]) -> Suite:
    """A list of `{"input", "output"}`."""
    metadata = gold.get("metadata") or {}
    entry = str(gold.get("fn_name") or metadata.get("func_name") or "")
    if not entry:
        entry = str(next((row["fn_name"] for row in rows if row.get("fn_name")), ""))
    if any(row.get("testtype") == "functional" for row in rows) and not entry:
        raise ValueError("functional tests without a function's name (fn_name)")
    pairs = {"inputs": [r["input"] for r in rows], "outputs": [r["output"] for r in rows]}
    return _pairs({**gold, **pairs, "fn_name": entry, "entry_point": entry})


def _reference(gold: Mapping[str, Any]) -> str:
    for key in ("reference", "canonical_solution", "reference_solution", "code"):
        if isinstance(gold.get(key), str) and gold[key].strip():
            return str(gold[key]).replace("\r\n", "\n")
    return ""


def _asserting(sources: Iterable[str], gold: Mapping[str, Any]) -> Suite:
    tests = [test for source in sources for test in split(source.replace("\r\n", "\n"))]
    imports = gold.get("test_imports") or ""
    return Suite(
        "asserts",
        tests=tuple(tests),
        imports=_text(imports),
        setup=str(gold.get("test_setup_code") or "").replace("\r\n", "\n"),
        reference=_reference(gold),
    )


def _human_eval(gold: Mapping[str, Any]) -> Suite:
    entry, test = str(gold["entry_point"]), str(gold["test"])
    if not _compiles(test):
        raise ValueError("test does not compile")
    if "def check" in test:
        test = f"{test}\n\ncheck({entry})\n"
    prompt, reference = str(gold.get("prompt") or ""), _reference(gold)
    if reference and prompt and f"def {entry}" not in reference:
        reference = prompt + reference
    return Suite("asserts", tests=(General(test),), entry=entry, prompt=prompt, reference=reference)


def read_suite(gold: Any) -> Suite:
    """A row's tests.

    Raises:
        ValueError: no known shape, or no tests.
    """
    if isinstance(gold, str):
        try:
            gold = json.loads(gold)
        except ValueError:
            if "assert" not in gold:
                raise ValueError("gold is neither JSON nor a test with an assert") from None
            gold = [gold]
    gold = _plain(gold)
    try:
        suite = _read(gold)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"gold has an unknown shape: {type(error).__name__}: {error}") from None
    if not suite.size:
        raise ValueError("gold holds no tests")
    return suite


def _read(gold: Any) -> Suite:
    if isinstance(gold, list):
        if all(isinstance(row, str) for row in gold):
            return _asserting(gold, {})
        return _listed(gold, {})
    if not isinstance(gold, dict):
        raise ValueError(f"gold must be a mapping, a list or text, got {type(gold).__name__}")
    if "inputs" in gold:
        return _pairs(gold)
    if "test" in gold and "entry_point" in gold:
        return _human_eval(gold)
    for key in ("test_list", "tests", "test_cases", "assertion", "test"):
        rows = gold.get(key)
        if isinstance(rows, str):
            rows = json.loads(rows) if rows.lstrip().startswith(("[", "{")) else [rows]
        if isinstance(rows, dict):
            return _read({**gold, **rows})
        if isinstance(rows, list) and rows:
            if isinstance(rows[0], str):
                return _asserting(rows, gold)
            return _listed(rows, gold)
    raise ValueError(f"gold has none of inputs, test, test_list, tests (has {sorted(gold)[:8]})")
