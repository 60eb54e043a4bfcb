"""From a specification to a folder: sources read, rows judged and mixed, files and manifest.

In: a specification as a mapping. Out: Parquet files and a `Manifest`. A plain conversion of one
source (`source=gsm8k`) streams its rows into their files here; several sources, filters, a mix or
an engine take the stages of `data_prep.curate`. Either way the folder appears whole or not at all;
the same specification again does nothing, another one is refused. The command line is
`data_prep.prepare`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from conf.errors import DataError
from data_prep.catalog import verifier_of
from data_prep.curate import curate
from data_prep.decontaminate.judge import Decontamination
from data_prep.golds import gold_entry
from data_prep.inputs import entries, program_inputs, spec_options
from data_prep.intake import Tally, example_rows, stem
from data_prep.judge import FINDINGS
from data_prep.licence import refuse_uncommercial
from data_prep.manifest import (
    FILE_NAME,
    SETS,
    FileEntry,
    Manifest,
    existing,
    file_entry,
    sets_entry,
    versions,
)
from data_prep.progress import Progress, estimated_rows
from data_prep.request import Request, parse
from data_prep.rows_schema import Kind
from data_prep.screen import load_screen
from data_prep.sources.base import Source, Spec
from data_prep.sources.registry import SOURCES, resolve
from data_prep.writer import ParquetSink, staged_folder

PLAIN_FILES: Final[tuple[tuple[Kind, str], ...]] = (
    ("rl", "train"),
    ("rl", "test"),
    ("sft", "train"),
    ("sft", "test"),
)


COMMON_KEYS: Final = {"commercial", "jsonl", "decontaminate", "eval_sets"}


def _stored_spec(spec: Spec, request: Request) -> dict[str, Any]:
    """The specification; the keys that any preparation has only where they were used."""
    stored: dict[str, Any] = json.loads(spec.model_dump_json(exclude={"out"}))
    used = request.model_dump_json(include=COMMON_KEYS, exclude_defaults=True)
    return {**stored, **json.loads(used)}


def _inputs(source: Source, spec: Spec, sets: Path | None) -> dict[str, FileEntry]:
    """Hashes of what decides the rows; of evaluation sets only where their folder was given.

    The hub's cache grows as other things are done: what is made stays as it is then.
    """
    found = entries(program_inputs(source.name, source.inputs(spec), spec_options(spec)))
    if sets is not None:
        known = Decontamination(folders=(sets,))
        found[SETS] = sets_entry(known.compared, known.digest)
    return found


def _write(
    source: Source, spec: Spec, request: Request, folder: Path, inputs: dict[str, FileEntry]
) -> Manifest:
    """Fill `folder` with Parquet files and the manifest."""
    tally = Tally()
    paths = list(source.inputs(spec))
    screen = None
    with ExitStack() as stack:
        if request.decontaminate:
            spool = stack.enter_context(TemporaryFile(dir=folder))
            source, screen = load_screen(source, spec, request.eval_sets, spool)
        progress = Progress(source.name, estimated_rows(paths), unit="examples", estimate=True)
        sinks = {
            (kind, split): stack.enter_context(
                ParquetSink(folder / f"{stem(kind, split)}.parquet", kind, jsonl=request.jsonl)
            )
            for kind, split in PLAIN_FILES
        }
        for one in example_rows(source, spec, tally, screen):
            sinks[one.kind, one.split].add(one.row)
            progress.show(tally.came.total())
    progress.end()
    for split in ("train", "test"):
        if not sinks["rl", split].rows:
            raise DataError(
                f"{source.name} gave no {split} rows: {tally.came[split]} examples came, "
                f"dropped: {tally.reasons()}",
                fix="check data_prep.local and data_prep.reward",
            )
    files = {
        path.name: file_entry(path, sink.rows) for sink in sinks.values() for path in sink.paths
    }
    if screen is not None and screen.lines:
        findings = folder / FINDINGS
        findings.write_text("".join(f"{line}\n" for line in screen.lines), encoding="utf-8")
        files[FINDINGS] = file_entry(findings, len(screen.lines))
    manifest = Manifest(
        source=source.name,
        url=source.url,
        licence=source.licence,
        spec=_stored_spec(spec, request),
        seed=spec.seed,
        examples_in=dict(tally.came),
        examples_kept=dict(tally.kept),
        dropped=dict(tally.dropped),
        inputs=inputs,
        files=files,
        versions=versions(),
        decontaminated=screen.filter.compared if screen else None,
        not_found=screen.filter.missing if screen else None,
        golds={source.name: gold_entry(verifier_of(spec))},
    )
    (folder / FILE_NAME).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def prepare(spec: Mapping[str, Any]) -> tuple[Manifest, bool]:
    """Prepare what a specification describes, unless it is already there.

    Args:
        spec: `source`, `out`, the keys of `data_prep.request`, and the source's own.

    Returns:
        The manifest, and whether the files were written now.

    Raises:
        ConfigError: the specification names something that does not exist.
        DataError: no usable data, or `out` holds something else; `out` is as it was then.
        RewardError: the reward does not load, or breaks on a row.
    """
    request, plain = parse(spec, frozenset(SOURCES))
    if plain is None:
        return curate(request)
    source, typed = resolve(plain)
    if request.commercial:
        refuse_uncommercial({source.name: source.licence})
    stored = _stored_spec(typed, request)
    inputs = _inputs(source, typed, request.eval_sets)
    there = existing(typed.out, stored, inputs)
    if there is not None:
        return there, False
    with staged_folder(typed.out) as folder:
        return _write(source, typed, request, folder, inputs), True
