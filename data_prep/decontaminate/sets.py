"""The evaluation sets that training rows are compared with, as far as they are on this machine.

In: names, and folders to look in. Out: `Item`s (one a question) and the names of sets of which no
file was found, which the manifest must say. Files are looked for under each folder and in the model
hub's local cache by the patterns of `SETS`; nothing is downloaded. A set of one's own is a
`SetFiles` too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from conf.errors import ConfigError, DataError
from data_prep.readers import read_rows


@dataclass(frozen=True, slots=True)
class Item:
    """One question of an evaluation set.

    Attributes:
        set: name of the set.
        id: of the question in its set.
        text: what a model is asked.
    """

    set: str
    id: str
    text: str


class SetFiles(BaseModel):
    """Where a set lies and which column holds its questions.

    Attributes:
        patterns: globs, relative to a folder searched; the first that matches anything is taken.
        columns: the first of these that a record has is the question.
        id: column of the question's id; None: its position.
        ids: only records whose id, as a number, lies in this range, both ends included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    patterns: tuple[str, ...]
    columns: tuple[str, ...]
    id: str | None = None
    ids: tuple[int, int] | None = None


def _hub(repository: str, inside: str) -> str:
    """The pattern of a file of a hub repository in the hub's cache folder."""
    return f"datasets--{repository.replace('/', '--')}/snapshots/*/{inside}"


SETS: Final[Mapping[str, SetFiles]] = {
    "gsm8k": SetFiles(
        patterns=("gsm8k/test.jsonl*", _hub("openai/gsm8k", "main/test-*.parquet")),
        columns=("question",),
    ),
    "math500": SetFiles(
        patterns=("math/math500.jsonl*", _hub("HuggingFaceH4/MATH-500", "test.jsonl")),
        columns=("problem",),
        id="unique_id",
    ),
    "aime24": SetFiles(
        patterns=("**/aime24.jsonl*", _hub("HuggingFaceH4/aime_2024", "data/*.parquet")),
        columns=("problem", "question"),
    ),
    "aime25": SetFiles(
        patterns=("**/aime25.jsonl*", _hub("math-ai/aime25", "test.jsonl")),
        columns=("problem", "question"),
    ),
    "humaneval": SetFiles(
        patterns=(
            "humaneval/HumanEval.jsonl*",
            _hub("openai/openai_humaneval", "openai_humaneval/test-*.parquet"),
        ),
        columns=("prompt",),
        id="task_id",
    ),
    "mbpp": SetFiles(  # problems 11 to 510 are its test split; the others may be trained on
        patterns=(
            "mbpp/mbpp.jsonl*",
            _hub("google-research-datasets/mbpp", "full/test-*.parquet"),
        ),
        columns=("text", "prompt"),
        id="task_id",
        ids=(11, 510),
    ),
    "ifeval": SetFiles(
        patterns=("ifeval/input_data.jsonl*", _hub("google/IFEval", "ifeval_input_data.jsonl")),
        columns=("prompt",),
        id="key",
    ),
}


def hub_cache() -> Path:
    """The model hub's cache folder, as its own client finds it."""
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def _files(declared: SetFiles, roots: Sequence[Path]) -> list[Path]:
    for root in roots:
        for pattern in declared.patterns:
            found = sorted(path for path in root.glob(pattern) if path.is_file())
            if found:
                return found
    return []


def _items(name: str, declared: SetFiles, files: Sequence[Path]) -> Iterator[Item]:
    position = 0
    for path in files:
        for _, record in read_rows(path):
            column = next((c for c in declared.columns if record.get(c)), None)
            if column is None:
                raise DataError(
                    f"evaluation set {name}, {path}, record {position}: has none of the columns "
                    f"{', '.join(declared.columns)}"
                )
            named = record.get(declared.id) if declared.id else None
            identity = str(named if named is not None else position)
            position += 1
            if declared.ids and identity.isdecimal():
                low, high = declared.ids
                if not low <= int(identity) <= high:
                    continue
            yield Item(name, identity, str(record[column]))


def load_sets(
    names: Iterable[str],
    folders: Sequence[Path] = (),
    own: Mapping[str, SetFiles] | None = None,
    *,
    cache: bool = True,
) -> tuple[list[Item], dict[str, int], list[str]]:
    """Read the evaluation sets that are here.

    Args:
        names: of `SETS` or `own`.
        folders: searched in this order.
        own: further declarations by name; they win over `SETS`.
        cache: whether to look into the hub's cache after the folders.

    Returns:
        All questions; how many each set has; the names of the sets that were not found.

    Raises:
        ConfigError: a name or a folder that does not exist.
        DataError: a file that cannot be read.
    """
    known = {**SETS, **(own or {})}
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(
                f"evaluation sets: no folder {folder}", fix="name a folder that holds their files"
            )
    roots = [*folders, *([hub_cache()] if cache and hub_cache().is_dir() else [])]
    items: list[Item] = []
    counts: dict[str, int] = {}
    missing: list[str] = []
    for name in names:
        if name not in known:
            raise ConfigError(
                f"no evaluation set {name!r}", fix=f"one of {', '.join(sorted(known))}"
            )
        files = _files(known[name], roots)
        found = list(_items(name, known[name], files))
        items += found
        if found:
            counts[name] = len(found)
        else:
            missing.append(name)
    return items, counts, missing
