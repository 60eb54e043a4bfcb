"""From a specification to a folder: rows made, gold answers checked, files and manifest written.

In: a specification as a mapping. Out: Parquet files and a `Manifest`. Each gold answer must be
right under the specified reward, else its example is dropped and counted. The folder appears whole
or not at all; the same specification again does nothing, another one is refused. The command line
is `data_prep.prepare`.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from conf.errors import DataError, RewardError
from data_prep.manifest import FILE_NAME, FileEntry, Manifest, file_entry, read_manifest, versions
from data_prep.rows import Message, rl_row, rl_schema, sft_row, sft_schema
from data_prep.sources.base import Drop, Example, Source, Spec, Use
from data_prep.sources.registry import resolve
from data_prep.writer import ParquetSink, staged_folder
from rewards.registry import Reward, load_correctness

FILES: Final[Mapping[tuple[str, Use], str]] = {
    ("train", "rl"): "train.parquet",
    ("test", "rl"): "test.parquet",
    ("train", "sft"): "sft_train.parquet",
    ("test", "sft"): "sft_test.parquet",
}
PROGRESS_EVERY: Final = 0.2  # seconds


class _Progress:
    """A live line on a terminal; silence elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = self._shown = time.monotonic()
        self._live = sys.stderr.isatty()

    def show(self, done: int) -> None:
        """Say how many examples came so far, at most five times a second."""
        now = time.monotonic()
        if self._live and now - self._shown >= PROGRESS_EVERY:
            self._shown = now
            rate = done / (now - self._start)
            print(f"\r{self._name}: {done} examples, {rate:.0f}/s ", end="", file=sys.stderr)

    def end(self) -> None:
        """Clear the line."""
        if self._live and self._shown != self._start:
            print("\r\x1b[K", end="", file=sys.stderr)


def _stored_spec(spec: Spec) -> dict[str, Any]:
    return json.loads(spec.model_dump_json(exclude={"out"}))  # type: ignore[no-any-return]


def _existing(source: Source, spec: Spec) -> Manifest | None:
    """The manifest of an `out` that already holds this very specification; None if there is none.

    Raises:
        DataError: `out` holds something else, or its files are not those of its manifest.
    """
    if not spec.out.exists() or (spec.out.is_dir() and not any(spec.out.iterdir())):
        return None
    away = f"data_prep.out=ANOTHER_FOLDER, or remove {spec.out}"
    if not (spec.out / FILE_NAME).is_file():
        raise DataError(f"{spec.out} exists and was not made by data_prep", fix=away)
    manifest = read_manifest(spec.out)
    wanted = _stored_spec(spec)
    different = sorted(
        key
        for key in (wanted.keys() | manifest.spec.keys()) - {"local"}  # its files' hashes count
        if key not in wanted or key not in manifest.spec or wanted[key] != manifest.spec[key]
    )
    if different:
        key = different[0]
        there = manifest.spec.get(key, "nothing")
        here = wanted.get(key, "nothing")
        raise DataError(
            f"{spec.out} holds data of another specification ({key}: {there!r} there, {here!r} "
            f"asked{f', and {len(different) - 1} more' if len(different) > 1 else ''})",
            fix=away,
        )
    if _inputs(source, spec) != manifest.inputs:
        raise DataError(f"{spec.out} was made of input files that have changed since", fix=away)
    for name, entry in manifest.files.items():
        path = spec.out / name
        if not path.is_file() or file_entry(path, entry.rows) != entry:
            raise DataError(f"{path} is not the file that the manifest records", fix=away)
    return manifest


def _inputs(source: Source, spec: Spec) -> dict[str, FileEntry]:
    return {path.name: file_entry(path) for path in source.inputs(spec)}


def _gold_holds(reward: Reward, example: Example, row: Mapping[str, Any]) -> bool:
    """Whether the gold answer, given as a response, is right.

    Raises:
        RewardError: the reward itself broke.
    """
    response = example.answer if example.answer is not None else f"#### {example.gold}"
    verdict = reward.judge(response, example.gold, row)
    if verdict.status == "verifier_error":
        raise RewardError(
            f"row {row['id']} ({example.where}): {verdict.detail}", fix="data_prep.reward=…"
        )
    return verdict.acc == 1.0


def _add(
    sinks: Mapping[tuple[str, Use], ParquetSink],
    example: Example,
    index: Mapping[Use, int],
    source: Source,
    spec: Spec,
) -> None:
    """Make the example's rows and hand them to their files."""
    prompt: list[Message] = [{"role": "system", "content": spec.system}] if spec.system else []
    if isinstance(example.prompt, str):
        prompt.append({"role": "user", "content": example.prompt})
    else:
        prompt += example.prompt
    for use in example.uses:
        common: dict[str, Any] = {
            "data_source": source.data_source,
            "id": _row_id(source, example, use, index[use]),
            "split": example.split,
            "index": index[use],
            "licence": source.licence,
        }
        sink = sinks[example.split, use]
        if use == "rl":
            gold = example.gold
            sink.add(rl_row(prompt=prompt, ground_truth=gold, ability=source.ability, **common))
        elif example.answer is not None:
            turn: Message = {"role": "assistant", "content": example.answer}
            sink.add(sft_row(messages=[*prompt, turn], **common))


def _row_id(source: Source, example: Example, use: Use, index: int) -> str:
    stem = FILES[example.split, use].removesuffix(".parquet")
    return f"{source.data_source}/{stem}/{index}"


def _write(source: Source, spec: Spec, folder: Path) -> Manifest:
    """Fill `folder` with Parquet files and the manifest."""
    reward = load_correctness(spec.reward, spec.reward_options) if spec.reward else None
    came: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    position: Counter[tuple[str, Use]] = Counter()  # counts drops too: an index names a raw row
    progress = _Progress(source.name)
    inputs = _inputs(source, spec)
    schemas = {"rl": rl_schema(), "sft": sft_schema()}
    with ExitStack() as stack:
        sinks = {
            key: stack.enter_context(ParquetSink(folder / name, schemas[key[1]]))
            for key, name in FILES.items()
        }
        for example in source.examples(spec):
            came[example.split] += 1
            progress.show(came.total())
            uses: tuple[Use, ...] = ("rl", "sft")
            uses = uses if isinstance(example, Drop) else tuple(example.uses)
            index = {use: position[example.split, use] for use in uses}
            for use in uses:
                position[example.split, use] += 1
            if isinstance(example, Drop):
                dropped[example.reason] += 1
                continue
            row = {
                "data_source": source.data_source,
                "split": example.split,
                "index": str(index[uses[0]]),
                "id": _row_id(source, example, uses[0], index[uses[0]]),
            }
            if reward is not None and not _gold_holds(reward, example, row):
                dropped["gold_fails"] += 1
                continue
            _add(sinks, example, index, source, spec)
            kept[example.split] += 1
    progress.end()
    for split in ("train", "test"):
        if not sinks[split, "rl"].rows:
            reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(dropped.items()))
            raise DataError(
                f"{source.name} gave no {split} rows: {came[split]} examples came, "
                f"dropped: {reasons or 'none'}",
                fix="check data_prep.local and data_prep.reward",
            )
    manifest = Manifest(
        source=source.name,
        url=source.url,
        licence=source.licence,
        spec=_stored_spec(spec),
        seed=spec.seed,
        examples_in=dict(came),
        examples_kept=dict(kept),
        dropped=dict(dropped),
        inputs=inputs,
        files={
            sink.path.name: file_entry(sink.path, sink.rows) for sink in sinks.values() if sink.rows
        },
        versions=versions(),
    )
    (folder / FILE_NAME).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def prepare(spec: Mapping[str, Any]) -> tuple[Manifest, bool]:
    """Prepare what a specification describes, unless it is already there.

    Args:
        spec: `source`, `out`, and the source's own keys.

    Returns:
        The manifest, and whether the files were written now.

    Raises:
        ConfigError: the specification names something that does not exist.
        DataError: no usable data, or `out` holds something else; nothing is written then.
        RewardError: the reward does not load, or breaks on a row.
    """
    source, typed = resolve(spec)
    there = _existing(source, typed)
    if there is not None:
        return there, False
    with staged_folder(typed.out) as folder:
        return _write(source, typed, folder), True
