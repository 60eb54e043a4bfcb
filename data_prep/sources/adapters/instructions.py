"""IFEval: instructions that a program can verify (arXiv:2311.07911), and sets of its format.

In: a raw row. Out: `Fields` whose answer is JSON, `{"instruction_id_list": […], "kwargs": [{…}]}`,
with the arguments that are not null. Verifies nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from conf.errors import DataError
from data_prep.rows_schema import Kind, dumps
from data_prep.sources import columns, fields
from data_prep.sources.columns import Lack
from data_prep.sources.declare import Declaration
from data_prep.sources.fields import Fields


def ifeval(declared: Declaration, kind: Kind, raw: Mapping[str, Any], where: str) -> Fields:
    """One instruction's arguments each; a 0 or an empty text is an argument, null is none.

    The hub's copies unite the arguments of all instructions, with null for those of the others.
    """
    made = fields.mapped(declared, raw, where)
    ids = columns.value(raw, "instruction_id_list", where)
    arguments = columns.value(raw, "kwargs", where)
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError as error:
            raise Lack("broken_tests", f"kwargs: {error}") from error
    if not ids:
        raise Lack("no_answer", "no instruction")
    if len(ids) != len(arguments):
        raise Lack("broken_tests", f"{len(ids)} instructions, {len(arguments)} arguments")
    kept = []
    for one in arguments:
        if not isinstance(one, Mapping):
            raise DataError(f"{where}, column kwargs: got {one!r:.60}, need an object each")
        kept.append({name: value for name, value in one.items() if value is not None})
    made.answer = dumps({"instruction_id_list": list(ids), "kwargs": kept})
    made.category = ids[0].partition(":")[0] if len(ids) == 1 else "several"
    return made
