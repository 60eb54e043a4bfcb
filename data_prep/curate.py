"""Many sources into one set of files: read, judge, resolve, mix, write.

In: a `Request`. Out: a folder and its `Manifest`. The stages leave files in a work folder (see
`data_prep.work`): parts of rows, verdicts, signatures. Each is made once, by whatever engine, so an
interrupted preparation goes on from where it was and ends in the same bytes. The driver holds some
thirty bytes a row; rows themselves are held a part or a shard at a time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from conf.errors import ConfigError, DataError
from data_prep import catalog
from data_prep.catalog import Opened
from data_prep.corpus import Corpus, Sign, load_corpus, resolve_steps
from data_prep.decontaminate.judge import Decontamination
from data_prep.engine import Engine, load_engine
from data_prep.gather import Arranged, WriteShard, arrange, gather, shard_names, shard_rows
from data_prep.golds import gold_entries, say_untried, with_golds
from data_prep.held_out import compared_with, put_questions
from data_prep.inputs import entries, step_inputs
from data_prep.intake import stem
from data_prep.judge import FINDINGS, Judge, verdict_path
from data_prep.licence import refuse_uncommercial
from data_prep.manifest import (
    FILE_NAME,
    SETS,
    FileEntry,
    Manifest,
    MixEntry,
    existing,
    file_entry,
    sets_entry,
    versions,
    without_places,
)
from data_prep.mix import group_of
from data_prep.parts import Part, PartWriter, Read, load_read, save_read, unique_ids
from data_prep.progress import Progress, estimated_rows
from data_prep.record import SPLITS, mix_entry, source_entries, total
from data_prep.request import Item, Request
from data_prep.rows_schema import KINDS, Kind
from data_prep.steps import (
    DECONTAMINATION,
    Steps,
    decontamination,
    forget_steps,
    sort_steps,
    with_decontamination,
)
from data_prep.work import FINAL, publish, work_folder

DRY_SUFFIX: Final = "-dry-run"
NOT_STORED: Final = {"out", "engine"}  # they decide nothing of the content

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class ReadSource:
    """The task on one source: cut its rows into parts.

    Attributes:
        folder: where its parts go, in a folder by its position.
        seed: of the preparation.
        out: its target.
        kinds: kinds of rows to keep.
        dry_run: see `Request`.
        estimate: about how many examples each source has, by its position.
    """

    folder: str
    seed: int
    out: str
    kinds: tuple[str, ...]
    dry_run: int | None
    estimate: dict[int, int]

    def __call__(self, numbered: tuple[int, Item]) -> Read:
        """What reading gave; done once."""
        number, item = numbered
        folder = Path(self.folder) / str(number)
        there = load_read(folder)
        if there is not None:
            return there
        folder.mkdir(parents=True, exist_ok=True)
        read = Read()
        writer = PartWriter(folder, number)
        rows = catalog.rows(item, self.seed, Path(self.out), self.kinds, read.tally, self.dry_run)
        progress = Progress(
            f"reading {item.label}", self.estimate.get(number), unit="examples", estimate=True
        )
        for one in rows:
            writer.add(one)
            progress.show(read.tally.came.total())
        progress.end()
        read.parts = writer.close()
        save_read(folder, read)
        return read


def _watched(label: str, things: Iterable[Thing], sizes: Sequence[int]) -> list[Thing]:
    """All of them, with progress in rows."""
    progress = Progress(label, sum(sizes))
    found = []
    done = 0
    for thing, size in zip(things, sizes, strict=True):
        found.append(thing)
        done += size
        progress.show(done)
    progress.end()
    return found


def _key(spec: dict[str, Any], inputs: dict[str, FileEntry]) -> str:
    """What is being made, in one hash: work on anything else is of no use."""
    said = {
        "spec": without_places(spec),
        "inputs": {n: e.sha256 for n, e in inputs.items()},
        **versions(),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _steps(request: Request, opened: Sequence[Opened]) -> Steps:
    """What happens to the rows, gold answers tried and decontamination included.

    Raises:
        ConfigError: a name or option that does not exist, or that would be ignored.
        RewardError: a source's reward does not load.
    """
    default = type(request).model_fields["test_filters"].default
    for name in request.test_filters:
        if name not in request.filters and name not in default:
            raise ConfigError(f"test_filters names {name!r}, which is none of filters=…")
    rl = request.kinds is None or "rl" in request.kinds
    named = with_golds(request.filters, opened, request.try_golds and rl)
    if not request.decontaminate:
        return sort_steps(named)
    return sort_steps(with_decontamination(named, request.eval_sets))


def _measure(request: Request) -> str | None:
    curriculum = request.mix.curriculum if request.mix else None
    return curriculum.removeprefix("-") if isinstance(curriculum, str) else None


def curate(request: Request) -> tuple[Manifest, bool]:
    """Prepare what is asked for, unless it is already there.

    Returns:
        The manifest, and whether the files were written now.

    Raises:
        ConfigError: a source, filter or key that does not exist.
        DataError: no usable data, a licence that forbids it, or `out` holds something else.
        RewardError: a source's reward does not load, or broke on a row.
    """
    if request.dry_run is not None:
        out = request.out.with_name(request.out.name + DRY_SUFFIX)
        request = request.model_copy(update={"out": out})
    opened = [catalog.look_up(item, request) for item in request.source]
    if request.commercial:
        refuse_uncommercial({one.label: one.licence for one in opened})
    kinds = request.kinds or KINDS
    strange = sorted(set(kinds) - set(KINDS))
    if strange:
        raise ConfigError(f"no kind of row {strange[0]!r}", fix=f"there is: {', '.join(KINDS)}")
    for one in opened:
        if not set(one.kinds) & set(kinds):
            raise ConfigError(
                f"source {one.label} gives {', '.join(one.kinds)} rows, none of kinds="
                f"{','.join(kinds)}",
                fix="leave it out, or its kind in",
            )
    forget_steps()
    steps = _steps(request, opened)
    if request.try_golds and "rl" in kinds:
        say_untried(gold_entries(opened, steps.filters))
    compared = decontamination(steps)
    inputs = entries(step_inputs(request.filters), "filters: ")
    for one in opened:
        inputs |= entries(one.inputs, f"{one.label}/")
    sets = {}
    if compared is not None:
        sets[SETS] = sets_entry(compared.compared, compared.digest)
        if not compared.compared:
            print(
                "compared with the test rows alone: no evaluation set is on this machine "
                f"({', '.join(compared.missing)}); eval_sets=FOLDER says where they are",
                file=sys.stderr,
            )
        if compared.folders:
            inputs |= sets
    spec = json.loads(request.model_dump_json(exclude=NOT_STORED))
    there = existing(request.out, spec, inputs)
    if there is not None:
        return there, False
    # The hub's cache grows as other things are done: what is made stays as it is then, and what is
    # half made begins again.
    with work_folder(request.out, _key(spec, inputs | sets)) as work:
        engine = load_engine(request.engine, work)
        try:
            manifest = _Run(request, opened, steps, compared, work, engine).make(
                spec, inputs, kinds
            )
        finally:
            engine.close()
        publish(work, request.out)
    return manifest, True


@dataclass
class _Run:
    """One preparation under way."""

    request: Request
    opened: Sequence[Opened]
    steps: Steps
    compared: Decontamination | None
    work: Path
    engine: Engine

    def make(
        self, spec: dict[str, Any], inputs: dict[str, FileEntry], kinds: Sequence[str]
    ) -> Manifest:
        """All stages."""
        reads = self._read(kinds)
        parts = [part for read in reads for part in read.parts]
        if not parts:
            said = "; ".join(
                f"{one.label}: {read.tally.came.total()} examples came, "
                f"dropped: {read.tally.reasons()}"
                for one, read in zip(self.opened, reads, strict=True)
            )
            raise DataError(f"no rows of the kinds {', '.join(kinds)} ({said})", fix="kinds=[…]")
        self._compare_with_test(parts)
        corpora = self._judge(parts)
        files, mixes = self._write(corpora)
        findings = self.work / FINAL / FINDINGS
        if findings.exists():
            files[FINDINGS] = file_entry(findings, findings.read_bytes().count(b"\n"))
        manifest = self._manifest(spec, inputs, reads, corpora, files, mixes)
        (self.work / FINAL / FILE_NAME).write_text(manifest.to_json(), encoding="utf-8")
        return manifest

    def _read(self, kinds: Sequence[str]) -> list[Read]:
        request = self.request
        guesses = {n: estimated_rows(one.files) for n, one in enumerate(self.opened)}
        task = ReadSource(
            str(self.work / "read"),
            request.seed,
            str(request.out),
            tuple(kinds),
            request.dry_run,
            {number: guess for number, guess in guesses.items() if guess},
        )
        return list(self.engine.run(task, list(enumerate(request.source))))

    def _compare_with_test(self, parts: Sequence[Part]) -> None:
        """Put the questions of the test rows among those that training rows are compared with."""
        named = self.steps.filters.get(DECONTAMINATION)
        if named is None:
            return
        generated = {number for number, one in enumerate(self.opened) if one.generated}
        path = put_questions(parts, generated, self.work / "questions")
        if path.stat().st_size:
            self.steps.filters[DECONTAMINATION] = compared_with(path, named)
            self.compared = decontamination(self.steps)

    def _judge(self, parts: Sequence[Part]) -> dict[Kind, Corpus]:
        """Verdicts on all parts, then the corpus steps of each kind."""
        judged, signed = self.work / "judged", self.work / "signed"
        task = Judge(
            str(judged),
            json.dumps(self.steps.filters),
            self.request.test_filters,
            _measure(self.request),
            self.request.commercial,
        )
        _watched("judging", self.engine.run(task, parts), [part.rows for part in parts])
        corpora: dict[Kind, Corpus] = {}
        labels = [one.label for one in self.opened]
        with (self.work / FINAL / FINDINGS).open("w", encoding="utf-8") as findings:
            for kind in KINDS:
                mine = [part for part in parts if part.kind == kind]
                if not mine:
                    continue
                verdicts = [str(verdict_path(judged, part)) for part in mine]
                corpus = corpora[kind] = load_corpus(mine, verdicts)
                unique_ids([corpus.hash], labels)
                for path in verdicts:
                    findings.write(Path(path).with_suffix(".jsonl").read_text(encoding="utf-8"))
                if not self.steps.corpus:
                    continue
                named = json.dumps(self.steps.corpus)
                sign = Sign(str(signed), str(judged), named)
                sizes = [part.rows for part in mine]
                made = _watched(f"signing {kind}", self.engine.run(sign, mine), sizes)
                for line in resolve_steps(corpus, named, made):
                    findings.write(f"{line}\n")
        if not (self.work / FINAL / FINDINGS).stat().st_size:
            (self.work / FINAL / FINDINGS).unlink()
        return corpora

    def _groups(self) -> dict[str, str]:
        mix = self.request.mix
        return {
            one.label: group_of(one.label, one.ability, mix) if mix else one.ability
            for one in self.opened
        }

    def _write(
        self, corpora: dict[Kind, Corpus]
    ) -> tuple[dict[str, FileEntry], dict[str, MixEntry]]:
        """Every file of every kind and split."""
        request, final, scratch = self.request, self.work / FINAL, self.work / "buckets"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        files: dict[str, FileEntry] = {}
        mixes: dict[str, MixEntry] = {}
        for kind, corpus in corpora.items():
            each = shard_rows(corpus, request.shard_rows)
            for split in SPLITS:
                name = stem(kind, split)
                arranged = self._arrange(corpus, kind, split)
                if not len(arranged.rows):
                    continue
                names = shard_names(name, len(arranged.rows), each)
                task = WriteShard(str(final), kind, request.jsonl)
                buckets = gather(corpus, arranged.rows, kind, names, each, scratch)
                paths = [str(path) for path in buckets]
                label = f"writing {name}"
                sizes = [min(each, len(arranged.rows) - n * each) for n in range(len(names))]
                for file, rows in _watched(label, self.engine.run(task, paths), sizes):
                    files[file] = file_entry(final / file, rows)
                    lines = (final / file).with_suffix(".jsonl")
                    if request.jsonl:
                        files[lines.name] = file_entry(lines, rows)
                if split == "train":
                    mixes[name] = mix_entry(arranged, request.mix)
        if not files:
            raise DataError("no row passed the filters", fix=f"see the reasons in {self.work}")
        return files, mixes

    def _arrange(self, corpus: Corpus, kind: Kind, split: str) -> Arranged:
        """The rows of a file; what cannot be says which file it was."""
        mix, seed, most = self.request.mix, self.request.seed, self.request.dry_run
        try:
            return arrange(corpus, split, self._groups(), mix, seed, kind, most)
        except (ConfigError, DataError) as error:
            others = "" if self.request.kinds else f" (kinds=… leaves {kind} rows out)"
            said = f"{stem(kind, split)}: {error.message}{others}"
            raise type(error)(said, error.fix) from error

    def _manifest(
        self,
        spec: dict[str, Any],
        inputs: dict[str, FileEntry],
        reads: Sequence[Read],
        corpora: dict[Kind, Corpus],
        files: dict[str, FileEntry],
        mixes: dict[str, MixEntry],
    ) -> Manifest:
        entries = source_entries(self.opened, reads, corpora, self._groups())
        every = list(entries.values())
        return Manifest(
            source=", ".join(entries),
            url=", ".join(one.url for one in every),
            licence=" AND ".join(sorted({one.licence for one in every})),
            spec=spec,
            seed=self.request.seed,
            examples_in=total(one.examples_in for one in every),
            examples_kept=total(one.examples_kept for one in every),
            dropped=total(
                [one.examples_dropped for one in every] + [o.rows_dropped for o in every]
            ),
            flagged=total(one.rows_flagged for one in every),
            inputs=inputs,
            files=files,
            versions=versions(),
            sources=entries,
            mix=mixes,
            decontaminated=self.compared.compared if self.compared else None,
            not_found=self.compared.missing if self.compared else None,
            golds=gold_entries(self.opened, self.steps.filters) if "rl" in corpora else None,
        )
