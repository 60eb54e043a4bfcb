"""Rows of LiveCodeBench's files, whose private tests are packed.

In: a raw row (`question_content`, `starter_code`, `public_test_cases`, `private_test_cases`,
`metadata`), or one of SandboxFusion's copies (`content`, `test`). Out: `Fields` with the tests as
one JSON object. The packing is zlib over base64 over a pickle of one text; the pickle is read by an
unpickler that can make nothing but plain data. Runs no code.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import zlib
from collections.abc import Mapping
from typing import Any, NoReturn

from data_prep.rows import Kind
from data_prep.sources import columns, fields
from data_prep.sources.adapters.code_tests import tests
from data_prep.sources.columns import Lack
from data_prep.sources.declare import Declaration
from data_prep.sources.fields import Fields

STDIN = "The program reads standard input and writes standard output."
MOST_BYTES = 1 << 28  # of unpacked tests


class _PlainData(pickle.Unpickler):
    """An unpickler that builds no object: a file from elsewhere must not run anything."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse every name."""
        raise pickle.UnpicklingError(f"{module}.{name} in packed tests")


def unpacked(text: str, where: str) -> Any:
    """Packed or plain tests as data.

    Raises:
        Lack: they are neither.
    """
    try:
        return json.loads(text)
    except ValueError:
        pass  # packed
    try:
        reader = zlib.decompressobj()
        content = reader.decompress(base64.b64decode(text, validate=True), MOST_BYTES)
        if reader.unconsumed_tail:
            raise Lack("broken_tests", f"{where}: more than {MOST_BYTES} bytes")
        try:
            return json.loads(content)
        except ValueError:
            found = _PlainData(io.BytesIO(content)).load()
            return json.loads(found) if isinstance(found, str) else found
    except (binascii.Error, zlib.error, pickle.UnpicklingError, ValueError, EOFError) as error:
        raise Lack("broken_tests", f"{where}: {type(error).__name__}: {error}") from error


def live_code(declared: Declaration, kind: Kind, raw: Mapping[str, Any], where: str) -> Fields:
    """Public and private tests, one after the other; a function's name from the metadata."""
    if "question_content" not in raw and "content" in raw:  # SandboxFusion's copy
        told = unpacked(str(raw.get("labels") or "{}"), where)
        known = {"question_content": raw["content"], "asked": "", **raw, **told}
        made = fields.mapped(declared, known, where)
        made.answer = json.dumps(tests(_cases(unpacked(str(raw["test"]), where)), where))
        return made
    starter = str(raw.get("starter_code") or "").strip()
    asked = f"Complete this code:\n\n```python\n{starter}\n```" if starter else STDIN
    made = fields.mapped(declared, {**raw, "asked": asked}, where)
    cases: list[Any] = []
    for column in ("public_test_cases?", "private_test_cases?"):
        found = columns.value(raw, column, where)
        cases += (unpacked(found, where) if isinstance(found, str) else found) or []
    told = unpacked(str(raw.get("metadata") or "{}"), where)
    name = told.get("func_name") if isinstance(told, Mapping) and starter else None
    if name:
        cases = [{**case, "fn_name": name} for case in cases]
    made.answer = json.dumps(tests(cases, where))
    return made


def _cases(found: Any) -> Any:
    """The tests within what SandboxFusion's copies pack around them."""
    if isinstance(found, Mapping) and isinstance(found.get("input_output"), str):
        return json.loads(found["input_output"])
    return found
