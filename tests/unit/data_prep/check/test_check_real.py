"""`data_prep.check` on real rows, and against what verl itself knows.

1. Rows that our sources make of the public sets have no error.
2. `reward=verl` knows the very sources that verl's own reward function does.
"""

from __future__ import annotations

import ast
import importlib.util
import itertools
from pathlib import Path

import pytest

from data_prep.check import check
from data_prep.checks.rows import VERL_SOURCES
from data_prep.rows_schema import kind_of
from data_prep.sources.base import Drop
from data_prep.sources.open import open_source
from data_prep.writer import ParquetSink

DATA = Path(__file__).parents[5] / "shared" / "data"
SETS = [
    ("gsm8k", "gsm8k", "test"), ("math500", "math", "test"), ("ifeval", "ifeval", "test"),
    ("mbpp", "mbpp", "test"), ("humaneval", "humaneval", "test"),
    ("alpaca", "alpaca/alpaca_small.json", "train"), ("sharegpt", "chat", "train"),
    ("hh_rlhf", "preferences/hh_rlhf/harmless-base", "test"),
]  # fmt: skip


@pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout")
@pytest.mark.parametrize(("name", "local", "split"), SETS)
def test_rows_of_real_sets_are_sound(name: str, local: str, split: str, tmp_path: Path) -> None:
    made = open_source(name, DATA / local, split)  # type: ignore[arg-type]
    rows = [row for row in itertools.islice(made, 150) if not isinstance(row, Drop)]
    path = tmp_path / f"{split}.parquet"
    with ParquetSink(path, kind_of(rows[0])) as sink:
        for row in rows:
            sink.add(row)
    report = check([path])
    assert report.errors == 0, [str(one) for one in report.problems][:5]
    assert report.rows == {str(path): len(rows)}


def test_the_sources_that_verl_knows() -> None:
    spec = importlib.util.find_spec("verl")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("verl is not installed")
    path = Path(spec.submodule_search_locations[0]) / "utils" / "reward_score" / "__init__.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = {
        node.value
        for test in ast.walk(tree)
        if isinstance(test, ast.Compare) and getattr(test.left, "id", "") == "data_source"
        for node in ast.walk(test)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert known == VERL_SOURCES
