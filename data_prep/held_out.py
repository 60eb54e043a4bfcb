"""The questions of RL test rows, as an evaluation set that training rows are compared with.

In: a preparation's parts. Out: a file of questions, and the options by which `decontamination`
reads it beside the public sets. `MOST` questions bound the memory of its index in each process;
whatever their number, the step `held_out` compares every test row as a whole question. SFT and
preference rows are that step's alone: chats begin alike, and share no more than a greeting.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from data_prep.filters.base import id_of, question_of
from data_prep.parts import Part, rows_of
from data_prep.work import put

NAME: Final = "test rows"  # of the set, in manifests and findings
MOST: Final = 20_000  # questions, the same share for each source: about 130 MB of n-grams


def put_questions(parts: Sequence[Part], generated: Collection[int], folder: Path) -> Path:
    """Write the distinct questions.

    Args:
        parts: of all rows.
        generated: positions of sources whose splits are apart by construction; theirs are left out.
        folder: where to write.

    Returns:
        The file; its name says what it holds, so that no index of another one stands for it.
    """
    tests = [
        p for p in parts if p.kind == "rl" and p.split != "train" and p.source not in generated
    ]
    each = MOST // max(1, len({part.source for part in tests}))
    taken: Counter[int] = Counter()
    ids: dict[str, str] = {}
    for part in tests:
        for row in rows_of(part) if taken[part.source] < each else ():
            text = question_of(row)
            if taken[part.source] < each and text.strip() and text not in ids:
                ids[text] = id_of(row)
                taken[part.source] += 1
    lines = (json.dumps({"id": ids[text], "question": text}) + "\n" for text in ids)
    data = "".join(lines).encode()
    path = folder / f"{hashlib.sha256(data).hexdigest()}.jsonl"
    put(path, data)
    return path


def compared_with(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `decontamination` with the questions of a file among its sets."""
    declared = {"patterns": [path.name], "columns": ["question"], "id": "id"}
    own = {**options.get("own", {}), NAME: declared}
    return {**options, "own": own, "folders": [*options.get("folders", []), str(path.parent)]}
