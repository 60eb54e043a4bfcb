"""Programming problems with inputs and expected outputs, in the shapes in which they are published.

In: a raw row. Out: `Fields` whose answer is one JSON object, the same for every data set:
`{"inputs": […], "outputs": […]}`, with `fn_name` where a function is called instead of a program
run. Runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from conf.errors import DataError
from data_prep.rows_schema import Kind, dumps
from data_prep.sources import columns, fields
from data_prep.sources.columns import Lack
from data_prep.sources.declare import Declaration
from data_prep.sources.fields import Fields

_PYTHON3: Final = 3  # CodeContests' code of the language
_NAMES: Final = ("fn_name", "func_name")


def _parsed(found: Any, where: str) -> Any:
    if not isinstance(found, str):
        return found
    try:
        return json.loads(found)
    except ValueError as error:
        raise Lack("broken_tests", f"{where}: {error}") from error


def tests(found: Any, where: str) -> dict[str, Any]:
    """Tests as `{"inputs", "outputs"[, "fn_name"]}`.

    Understood are that object itself, a list of `{"input", "output"}` (with `fn_name`, or
    `metadata.func_name`), and either as JSON text.

    Raises:
        DataError: they have another shape.
        Lack: there are none, or their text is no JSON.
    """
    found = _parsed(found, where) if found else None
    if not found:
        raise Lack("no_tests")
    if isinstance(found, Mapping) and {"inputs", "outputs"} <= found.keys():
        made = {"inputs": list(found["inputs"]), "outputs": list(found["outputs"])}
        name = found.get("fn_name")
    elif isinstance(found, Sequence) and all(
        isinstance(test, Mapping) and {"input", "output"} <= test.keys() for test in found
    ):
        made = {"inputs": [t["input"] for t in found], "outputs": [t["output"] for t in found]}
        described = {**(_parsed(found[0].get("metadata"), where) or {}), **found[0]}
        name = next((described[key] for key in _NAMES if described.get(key)), None)
    else:
        raise DataError(
            f"{where}: tests are {found!r:.60}",
            fix='need {"inputs", "outputs"}, a list of {"input", "output"}, or their JSON text',
        )
    if not made["inputs"]:
        raise Lack("no_tests")
    if len(made["inputs"]) != len(made["outputs"]):
        raise Lack("broken_tests", f"{len(made['inputs'])} inputs, {len(made['outputs'])} outputs")
    return {**made, "fn_name": name} if name else made


def code_tests(declared: Declaration, kind: Kind, raw: Mapping[str, Any], where: str) -> Fields:
    """Tests in the column `answer`; for SFT, the first of the solutions in the column `response`.

    APPS (arXiv:2105.09938), TACO (arXiv:2312.14852), DeepCoder.
    """
    made = fields.mapped(declared, raw, where)
    if kind == "rl":
        if not isinstance(declared.answer, str):
            raise DataError(f"{declared.path}: code_tests needs the tests' column as answer")
        made.answer = dumps(tests(columns.value(raw, declared.answer, where), where))
    elif declared.response is not None:
        solutions = _parsed(columns.value(raw, declared.response, where) or None, where)
        if isinstance(solutions, Sequence) and not isinstance(solutions, str):
            solutions = next((one for one in solutions if str(one).strip()), None)
        made.response = fenced(solutions)
    return made


def codecontests(declared: Declaration, kind: Kind, raw: Mapping[str, Any], where: str) -> Fields:
    """CodeContests (arXiv:2203.07814): public, private and generated tests, one after the other.

    For SFT, the first solution in Python 3.
    """
    made = fields.mapped(declared, raw, where)
    if kind == "rl":
        merged: dict[str, list[Any]] = {"inputs": [], "outputs": []}
        for name in ("public_tests", "private_tests", "generated_tests"):
            group = columns.value(raw, name, where) or {}
            merged["inputs"] += group.get("input") or []
            merged["outputs"] += group.get("output") or []
        made.answer = dumps(tests(merged if merged["inputs"] else None, where))
    else:
        found = columns.value(raw, "solutions", where) or {}
        pairs = zip(found.get("language") or [], found.get("solution") or [], strict=True)
        made.response = fenced(next((text for code, text in pairs if code == _PYTHON3), None))
    return made


def fenced(program: Any) -> str:
    """A program as an answer: in a Python fence.

    Raises:
        Lack: there is none.
    """
    if not isinstance(program, str) or not program.strip():
        raise Lack("no_solution")
    return f"```python\n{program.strip()}\n```"
