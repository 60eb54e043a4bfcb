"""Which held-out rows chose a checkpoint: they are no evidence for it afterwards.

In: the validation files and the file that is evaluated. Out: numbers of rows of the latter. It
follows verl's `RLHFDataset`, which puts the files together and draws `data.val_max_samples` of
their rows by `data.seed` where `data.shuffle` says so, else takes the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def choosing_rows(
    files: Sequence[str], evaluated: Path, most: int, shuffle: bool, seed: int | None
) -> list[int]:
    """The rows of `evaluated` that validation sees.

    Args:
        files: `data.val_files`, Parquet, in their order.
        evaluated: the file whose rows the evaluation asks.
        most: `data.val_max_samples`; all rows where it is not positive.
        shuffle: `data.shuffle`.
        seed: `data.seed`.

    Raises:
        OSError: a file cannot be read.
    """
    import pyarrow.parquet as parquet

    target = evaluated.resolve()
    paths = [Path(file).resolve() for file in files]
    if target not in paths:
        return []
    sizes = [int(parquet.ParquetFile(path).metadata.num_rows) for path in paths]
    total = sum(sizes)
    seen: set[int] = set(range(total))
    if 0 < most < total:
        seen = set(range(most))
        if shuffle:
            import numpy as np

            drawn = np.random.default_rng(seed).choice(total, size=most, replace=False)
            seen = {int(row) for row in drawn}
    rows: set[int] = set()
    for at, path in enumerate(paths):
        if path == target:
            start = sum(sizes[:at])
            rows |= {row - start for row in seen if start <= row < start + sizes[at]}
    return sorted(rows)
