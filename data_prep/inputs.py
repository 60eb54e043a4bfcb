"""What decides the rows of a preparation: data files, declarations, code, lists that filters read.

In: sources and filters as they are named. Out: names with files or texts, whose hashes the manifest
and the key of the work folder hold; where any of them changes, what was made of it is no longer
what is asked for. A name says where a file lies within its source, never where that source lies:
the same inputs in another place are the same. Code that a named file imports, and models on the
hub, are not looked into.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from data_prep.manifest import FILE_NAME, FileEntry, file_entry
from data_prep.sources.base import Spec
from data_prep.sources.declare import Declaration

Inputs = Mapping[str, Path | str]  # by name: a file, a folder, or a text

DECLARATION: Final = "declaration"
MODELS: Final = ("model", "tokenizer")  # options that may name a folder with one
UNDECIDING: Final = {"about", "verified", "path"}  # parts of a declaration that no row depends on
_CODE: Final = re.compile(r"""['"]([^'"]+\.py):\w|([\w./~-]+\.py):\w""")
_GLOB: Final = frozenset("*?[")


def entries(inputs: Inputs, prefix: str = "") -> dict[str, FileEntry]:
    """Hash and size of each."""
    return {f"{prefix}{name}": _entry(thing) for name, thing in inputs.items()}


def _entry(thing: Path | str) -> FileEntry:
    if isinstance(thing, Path) and thing.is_file():
        return file_entry(thing)
    if isinstance(thing, Path):
        found = {name: file_entry(path) for name, path in data_names(files_at(thing)).items()}
        text = "".join(f"{name} {one.sha256}\n" for name, one in sorted(found.items()))
        size = sum(one.bytes for one in found.values())
    else:
        text, size = thing, len(thing.encode())
    return FileEntry(rows=None, sha256=hashlib.sha256(text.encode()).hexdigest(), bytes=size)


def data_names(paths: Iterable[Path]) -> dict[str, Path]:
    """Each file once, by its place within the folder that holds them all."""
    unique = list(dict.fromkeys(Path(os.path.abspath(path)) for path in paths))
    if not unique:
        return {}
    top = Path(os.path.commonpath([path.parent for path in unique]))
    if top == Path(top.anchor) and len(unique) > 1:
        return tail_names(unique)  # they share no folder; whole paths would name the machine
    return {path.relative_to(top).as_posix(): path for path in unique}


def tail_names(paths: Iterable[Path]) -> dict[str, Path]:
    """Each file or folder once, by as many last parts of its path as tell them apart."""
    unique = list(dict.fromkeys(Path(os.path.abspath(path)) for path in paths))
    for parts in range(1, max((len(path.parts) for path in unique), default=0) + 1):
        named = {"/".join(path.parts[-parts:]): path for path in unique}
        if len(named) == len(unique):
            return named
    return {}


def files_at(place: Path) -> list[Path]:
    """The files of a place that code is given to read: itself, all below a folder, or a glob's.

    Hidden files, and folders that a preparation made, are none of its data.
    """
    if place.is_file():
        return [place]
    if place.is_dir():
        return sorted(_below(place))
    if _GLOB & set(str(place)):
        base = Path(place.anchor) if place.is_absolute() else Path()
        found = base.glob(str(place.relative_to(place.anchor)))
        return sorted(path for path in found if path.is_file())
    return []


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if not path.is_dir():
            yield path
        elif not (path / FILE_NAME).is_file():
            yield from _below(path)


def named_files(value: Any) -> Iterator[Path]:
    """The files that a name or option spells: `file.py:function`, alone or in a formula, or a path.

    Mappings and lists are looked into. What is not there is left to whoever needs it.
    """
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _model(one) if key in MODELS else named_files(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from named_files(one)
    elif isinstance(value, (str, Path)):
        text = str(value)
        code = text.rpartition(":")[0]
        inner = (quoted or bare for quoted, bare in _CODE.findall(text))
        for name in dict.fromkeys((text, code if code.endswith(".py") else "", *inner)):
            if name and _is_file(path := Path(name).expanduser()):
                yield path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # an option may be any text
        return False


def _model(value: Any) -> Iterator[Path]:
    """The folder of a local model or tokenizer."""
    if isinstance(value, str) and value and (path := Path(value).expanduser()).is_dir():
        yield path


def declared_inputs(declared: Declaration, files: Sequence[Path]) -> dict[str, Path | str]:
    """What decides the rows of a declaration: itself, its files, the code that it names."""
    said = (one for one in declared.model_dump().values() if isinstance(one, str))
    code = [where for one in said if (where := one.rpartition(":")[0]).endswith(".py")]
    paths = (declared.path.parent / Path(one).expanduser() for one in code)
    named = [path for path in paths if _is_file(path)]
    text = declared.model_dump_json(exclude=UNDECIDING)
    return {
        **_with_named(data_names(files), [*named, *named_files(declared.reward_options)]),
        DECLARATION: text,
    }


def program_inputs(
    name: str, files: Sequence[Path], options: Mapping[str, Any]
) -> dict[str, Path | str]:
    """What decides the rows of a source in code: its file, its data, files that options name."""
    return {**_with_named(data_names(files), named_files([name, options]))}


def _with_named(data: dict[str, Path], paths: Iterable[Path]) -> dict[str, Path]:
    """Data files, and the others that are named beside them."""
    held = set(data.values())
    named = (path for path in map(Path, map(os.path.abspath, paths)) if path not in held)
    others = tail_names(named).items()
    return data | {f"named/{name}" if name in data else name: path for name, path in others}


def spec_options(spec: Spec) -> dict[str, Any]:
    """The keys of a source in code that may name files, its reward among them."""
    return spec.model_dump(exclude={"source", "out", "local"})


def step_inputs(filters: Mapping[str, Mapping[str, Any]]) -> dict[str, Path | str]:
    """What decides what filters and steps find: their own files, and those that options name."""
    return {**tail_names(named_files([[name, options] for name, options in filters.items()]))}
