"""Open a source: its raw rows read one by one, each a checked row or a drop with its reason.

In: a declaration's name (or the path of a user's own, or of a Python function that makes rows), the
place of local files or none for the hub, the split and the kind of rows. Out: an iterator, train
before test, always in the same order, holding one raw row at a time. Filters nothing and writes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from conf.errors import ConfigError, DataError
from data_prep.readers import READABLE, find_files, read_rows
from data_prep.rows import Row
from data_prep.rows_schema import Kind
from data_prep.sources.base import Drop, Split
from data_prep.sources.convert import convert
from data_prep.sources.declare import SPLITS, Declaration, declaration
from data_prep.sources.hub import hub_rows
from data_prep.sources.program import is_program, program_rows

_GLOB: Final = frozenset("*?[")


def open_source(
    name_or_path: str | Path,
    local: str | Path | None = None,
    split: Split | None = None,
    kind: Kind | None = None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[Row | Drop]:
    """The rows of a source.

    Args:
        name_or_path: of a declaration that comes with the package, a YAML file, `arithmetic`, or
            `path/to/file.py:function`.
        local: folder, file or glob to read instead of the hub; None: the hub, or the files beside
            a user's own declaration.
        split: the one wanted; None: all there are.
        kind: of the rows; None: the declaration's first.
        options: keys of a source that is a program (`seed`, `train_size`); others have none.

    Raises:
        ConfigError: no such source, split, kind or option.
        DataError: no data where they should be, or data that the declaration does not fit; raised
            here where that can be known, else on reading.
    """
    if is_program(name_or_path):
        return program_rows(str(name_or_path), local, split, kind, options or {})
    declared = declaration(name_or_path)
    if options:
        raise ConfigError(f"source {declared.name} has no options", fix="leave them out")
    kind = kind_of_source(declared, kind)
    places = source_files(declared, local, split)
    return _rows(declared, kind, places)


def kind_of_source(declared: Declaration, kind: Kind | None) -> Kind:
    """`kind`, if the source has it; its first one for None.

    Raises:
        ConfigError: it does not.
    """
    if kind is not None and kind not in declared.kind:
        raise ConfigError(
            f"source {declared.name} gives no {kind} rows",
            fix=f"it gives {', '.join(declared.kind)}",
        )
    return kind or declared.kind[0]


def source_files(
    declared: Declaration, local: str | Path | None = None, split: Split | None = None
) -> dict[Split, list[Path] | None]:
    """The files of each split that will be read; None for a split that comes from the hub.

    Raises:
        ConfigError: the source has no such split.
        DataError: there are no such files.
    """
    if split is not None and split not in SPLITS:
        raise ConfigError(f"split {split!r} is not one", fix=" or ".join(SPLITS))
    if local is None and declared.bundled:
        return _on_hub(declared, split)
    if local is None and not declared.files:
        return _on_hub(declared, split)
    where = declared.path.parent if local is None else Path(local).expanduser()
    if where.is_dir():
        return _in_folder(declared, where, split)
    if _GLOB & set(str(where)):
        here = Path(where.anchor) if where.is_absolute() else Path()
        found = sorted(here.glob(str(where.relative_to(where.anchor))))
    else:
        found = [where] if where.is_file() else []
    if not found:
        raise DataError(f"data_prep.local={where} does not exist", fix=_fix(declared))
    for path in found:
        if not path.name.endswith(READABLE):
            raise DataError(
                f"{path}: unknown kind of file", fix=f"give one of {', '.join(READABLE)}"
            )
    return dict.fromkeys(_splits_of(declared, found[0], split), found)


def _on_hub(declared: Declaration, split: Split | None) -> dict[Split, list[Path] | None]:
    if declared.hub is None:
        raise DataError(f"source {declared.name} is on no hub", fix=_fix(declared))
    wanted = tuple(declared.hub.splits) if split is None else (split,)
    if split is not None and split not in declared.hub.splits:
        raise ConfigError(
            f"source {declared.name} has no {split} split on the hub",
            fix=f"split={', '.join(declared.hub.splits)}",
        )
    return dict.fromkeys((name for name in SPLITS if name in wanted), None)


def _in_folder(
    declared: Declaration, folder: Path, split: Split | None
) -> dict[Split, list[Path] | None]:
    wanted = declared.splits if split is None else (split,)
    found: dict[Split, list[Path] | None] = {}
    for name in wanted:
        files = find_files(folder, declared.files.get(name, ()))
        if files:
            found[name] = files
        elif split is not None:
            raise DataError(f"{folder} has no {name} file of {declared.name}", fix=_fix(declared))
    if not found:
        raise DataError(f"{folder} has no file of {declared.name}", fix=_fix(declared))
    return found


def _splits_of(declared: Declaration, path: Path, split: Split | None) -> tuple[Split, ...]:
    """Which splits a file given by its name holds."""
    if split is not None:
        return (split,)
    matching = [
        name
        for name, patterns in declared.files.items()
        if any(path.match(pattern) for pattern in patterns)
    ]
    if matching:
        return tuple(name for name in SPLITS if name in matching)
    if len(declared.splits) == 1:
        return declared.splits
    raise DataError(
        f"{path} may be any split of {declared.name}", fix=f"split={' or split='.join(SPLITS)}"
    )


def _fix(declared: Declaration) -> str:
    patterns = [pattern for files in declared.files.values() for pattern in files]
    if not patterns:
        return f"data_prep.local=null reads {declared.hub.id if declared.hub else 'the hub'}"
    return f"data_prep.local=FOLDER with {', '.join(dict.fromkeys(patterns))}, or a file"


def _rows(
    declared: Declaration, kind: Kind, places: Mapping[Split, list[Path] | None]
) -> Iterator[Row | Drop]:
    for split, files in places.items():
        for index, (where, raw) in enumerate(raw_rows(declared, split, files)):
            yield convert(declared, kind, raw, split=split, index=index, where=where)


def raw_rows(
    declared: Declaration, split: Split, files: list[Path] | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The raw rows of one split with their places, before anything is made of them.

    Args:
        declared: the source.
        split: which one.
        files: as `source_files` gives them; None: the hub.
    """
    if files is not None:
        for path in files:
            yield from read_rows(path)
    elif declared.hub is not None:
        hub = declared.hub
        yield from hub_rows(
            hub.id,
            hub.splits[split],
            config=hub.config,
            files=(hub.files or {}).get(split),
            fix=_fix(declared),
        )
