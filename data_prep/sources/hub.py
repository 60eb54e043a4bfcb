"""Rows of a data set on the hub, one at a time.

In: a data set's id and split. Out: `(where, row)` pairs. Without a network, the answer comes at
once: the client itself would retry for half a minute. Nothing is downloaded beyond what is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conf.errors import DataError


def hub_answers() -> bool:
    """Whether the hub's name resolves; unknown, and so yes, behind a proxy or in offline mode."""
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname
    if constants.HF_HUB_OFFLINE or host is None or getproxies():
        return True
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True


def hub_rows(
    id: str,
    split: str,
    *,
    config: str | None = None,
    files: str | None = None,
    stream: bool = True,
    fix: str = "data_prep.local=FOLDER",
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row with its place.

    Args:
        id: of the data set.
        split: as the hub names it.
        config: of the data set; None: the only one.
        files: data files within the repository (a glob), read instead of the data set's own script.
        stream: read while downloading; else download first and keep a cached copy.
        fix: what to do when the hub gives nothing.

    Raises:
        DataError: the hub does not answer, or has no such data set, configuration or split.
    """
    place = f"{id} {split}"
    try:
        from datasets import load_dataset

        if not hub_answers():
            raise ConnectionError("its name does not resolve (HF_HUB_OFFLINE=1 uses the cache)")
        if files is not None:
            kind = "parquet" if files.endswith(".parquet") else "json"
            wanted = {"train": f"hf://datasets/{id}/{files}"}
            rows = load_dataset(kind, data_files=wanted, split="train", streaming=stream)
        else:
            rows = load_dataset(id, config, split=split, streaming=stream)
        first = next(iterator := iter(rows), None)
    except Exception as error:  # the hub client raises a dozen types, its back ends more
        raise DataError(
            f"the hub gave no {id}: {type(error).__name__}: {str(error).splitlines()[0]:.120}",
            fix=fix,
        ) from error
    if first is None:
        return
    yield f"{place} row 0", dict(first)
    for number, row in enumerate(iterator, start=1):
        yield f"{place} row {number}", dict(row)
