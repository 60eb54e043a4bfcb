"""Records of an evaluation: one JSON line per generation, appended as it ends.

In: a generation with its verdict. Out: `records-<label>.jsonl`, from which every number of
results.json can be computed again. A `kill -9` leaves at most one torn last line, which resuming
cuts off. A record belongs to its key: model files, prompt, sampling, row and sample; lines with
other keys are moved aside, never deleted. Nothing here generates or grades.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from conf.atomic import write_text, writing
from conf.errors import EvaluationError

Record = dict[str, Any]
FINGERPRINTED = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "chat_template*",
    "vocab*",
    "merges.txt",
    "*.model",
    "*.safetensors",
    "*.bin",
)  # what decides a response; nothing else in a folder does
FIELDS: Final = (  # kinds of value, how a message calls them, and which fields have them
    ((int,), "a whole number", ("index", "tokens")),
    ((int, float), "a number", ("seconds",)),
    ((str,), "a text", ("response", "finish_reason", "verdict.status")),
    ((int, type(None)), "a whole number", ("sample",)),
    ((int, float, type(None)), "a number or null", ("verdict.acc",)),
)


def model_fingerprint(folder: Path) -> str:
    """SHA-256 over the names and contents of a model's configuration, tokenizer and weights.

    The whole weights are read (about 1 GB/s, and the engine then finds them in the page cache):
    a sample of them could miss that only some layers were trained.
    """
    total = hashlib.sha256()
    names = sorted({path for pattern in FINGERPRINTED for path in folder.glob(pattern)})
    for path in names:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.name}\0{digest}\n".encode())
    return total.hexdigest()


def record_key(
    fingerprint: str, prompt: object, sampling: Mapping[str, Any], index: int, sample: int = 0
) -> str:
    """Identity of one generation: the same key means the same response may be used again."""
    place = [sample] if sample else []  # the first sample's key is that of a single one
    identity = json.dumps([fingerprint, prompt, dict(sampling), index, *place], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def read_records(path: Path) -> list[Record]:
    """All whole records of a file, in the order they were written; a torn last line is left out.

    Raises:
        EvaluationError: a line that is not the last is no JSON object.
    """
    return _parse(path, path.read_bytes())[0] if path.is_file() else []


def whole_records(path: Path, also: Collection[str] = ()) -> list[Record]:
    """The records of a file, each with what every number and page is made of.

    Args:
        path: the file.
        also: further fields that the reader cannot do without, of whatever kind.

    Raises:
        EvaluationError: a record lacks a field, or has another kind of value there.
    """
    found = read_records(path)
    for number, record in enumerate(found, start=1):
        if problem := _problem(record, also):
            raise EvaluationError(
                f"{path} line {number}: {problem}",
                "give the records of eval.run; a line that was damaged may be deleted",
            )
    return found


def _problem(record: Record, also: Collection[str]) -> str:
    """What is wrong with a record; "" for nothing."""
    verdict = record.get("verdict")
    for kinds, told, names in FIELDS:
        for name in names:
            outer, _, inner = name.rpartition(".")
            within = verdict if outer else record
            if not isinstance(within, dict):
                return f"{outer} is {within!r:.40}, need an object with its status"
            value = within.get(inner)
            if not isinstance(value, kinds) or isinstance(value, bool):
                got = f"is {value!r:.40}" if inner in within else "is missing"
                return f"{name} {got}, need {told}"
    missing = [name for name in also if name not in record]
    return f"{', '.join(missing)} is missing; it has {', '.join(record)}" if missing else ""


def _parse(path: Path, content: bytes) -> tuple[list[Record], int]:
    """Records, and the length in bytes of the part that holds them."""
    records: list[Record] = []
    end = 0
    lines = content.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        last = number == len(lines)
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict) and line.endswith(b"\n"):
            records.append(record)
            end += len(line)
        elif not last:
            raise EvaluationError(
                f"{path} line {number} is not a record (damaged file)",
                "delete that line, or the file to generate all of it again",
            )
    return records, end


class RecordFile:
    """A records file that is open for appending by this process alone.

    Use as a context manager. `kept` holds the records whose key was wanted, by key.

    Args:
        path: the file; it is made when missing.
        wanted: keys of the generations of this evaluation. When the file has other lines, the
            whole old file is kept beside it as `<stem>.old-N.jsonl`.

    Raises:
        EvaluationError: another process writes this file, or it is damaged.
        RunFolderError: it cannot be written.
    """

    def __init__(self, path: Path, wanted: Collection[str]) -> None:
        self.path = path
        self.moved_to: Path | None = None
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock: BinaryIO = path.with_suffix(".lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise EvaluationError(
                f"another evaluation is writing {path}", "wait for it, or give another out="
            ) from None
        self.kept = self._tidy(frozenset(wanted))
        with writing(path):
            self._file: BinaryIO = path.open("ab")

    def _tidy(self, wanted: frozenset[str]) -> dict[str, Record]:
        """Cut a torn end; move a file with foreign lines aside and carry over what is ours."""
        content = self.path.read_bytes() if self.path.is_file() else b""
        records, end = _parse(self.path, content)
        kept = {record["key"]: record for record in records if record.get("key") in wanted}
        if len(kept) < len(records):
            self.moved_to = _free_name(self.path)
            with writing(self.moved_to):
                self.moved_to.write_bytes(content[:end])
            write_text(self.path, "".join(_line(record) for record in kept.values()))
        elif end < len(content):
            with writing(self.path), self.path.open("r+b") as file:
                file.truncate(end)
        return kept

    def append(self, record: Record) -> None:
        """Write one line and hand it to the operating system, so that only a torn line is lost."""
        with writing(self.path):
            self._file.write(_line(record).encode())
            self._file.flush()

    def replace(self, records: Sequence[Record]) -> None:
        """Write all lines anew, whole or not at all: after grading again."""
        self._file.close()
        write_text(self.path, "".join(_line(record) for record in records))
        with writing(self.path):
            self._file = self.path.open("ab")

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._lock.close()


def _line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def _free_name(path: Path) -> Path:
    number = 1
    while (name := path.with_name(f"{path.stem}.old-{number}.jsonl")).exists():
        number += 1
    return name
