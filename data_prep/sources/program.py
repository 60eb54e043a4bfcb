"""Sources that are programs, not data: generated problems, or a user's own Python function.

In: their name and keys. Out: the same rows as a declared source gives. What a program yields
(`Example`s) is `data_prep.sources.base`'s matter; how it is found, `data_prep.sources.registry`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from conf.errors import ConfigError
from data_prep.rows import Message, Row, rl_row, sft_row
from data_prep.rows_schema import Kind
from data_prep.sources.base import Drop, Example, Source, Spec, Split
from data_prep.sources.registry import resolve

PROGRAMS: Final = ("arithmetic",)


def is_program(name: str | Path) -> bool:
    """Whether a source is one of these."""
    return str(name) in PROGRAMS or ".py:" in str(name)


def program_rows(
    name: str,
    local: str | Path | None,
    split: Split | None,
    kind: Kind | None,
    options: Mapping[str, Any],
) -> Iterator[Row | Drop]:
    """The rows of a program; arguments as `open_source`'s.

    Raises:
        ConfigError: no such program or option, or rows of another kind are asked for.
    """
    if kind not in (None, "rl", "sft"):
        raise ConfigError(f"source {name} gives no {kind} rows", fix="it gives rl, sft")
    source, spec = resolve({**options, "source": name, "local": local, "out": "."})
    return _rows(source, spec, split, kind or "rl")


def _rows(source: Source, spec: Spec, split: Split | None, kind: Kind) -> Iterator[Row | Drop]:
    position: Counter[Split] = Counter()
    for item in source.examples(spec):
        if isinstance(item, Example) and kind not in item.uses:
            continue
        index = position[item.split]
        position[item.split] += 1
        if split is not None and item.split != split:
            continue
        yield item if isinstance(item, Drop) else _row(source, spec, item, kind, index)


def _row(source: Source, spec: Spec, example: Example, kind: Kind, index: int) -> Row | Drop:
    prompt: list[Message] = [{"role": "system", "content": spec.system}] if spec.system else []
    if isinstance(example.prompt, str):
        prompt.append({"role": "user", "content": example.prompt})
    else:
        prompt += example.prompt
    common: dict[str, Any] = {
        "data_source": source.data_source,
        "id": f"{source.data_source}/{example.split}/{index}",
        "split": example.split,
        "index": index,
        "licence": source.licence,
    }
    if kind == "rl":
        row = rl_row(prompt=prompt, ground_truth=example.gold, ability=source.ability, **common)
        return cast(Row, row)
    if example.answer is None:
        return Drop(example.split, "empty_answer", example.where)
    answer: Message = {"role": "assistant", "content": example.answer}
    return cast(Row, sft_row(messages=[*prompt, answer], **common))
