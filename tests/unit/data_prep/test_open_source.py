"""Opening sources: the hub's rows, what a row asks, and what opening loads.

1. A hub source streams its configuration, split or files; the hub's failures are one line.
2. `question` gives back what the data say, without our template's words.
3. Reading a source and filling its Arrow table import no pandas: a second and 70 MB.
"""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from conf.errors import DataError
from data_prep.sources import hub
from data_prep.sources.open import open_source

DATA = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.fixture
def hub_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """A hub of two rows; what was asked of it."""
    calls: list[tuple] = []

    def load_dataset(*args: Any, **kwargs: Any) -> Any:
        calls.append((*args, kwargs))
        if args[0] == "broken/one":
            raise RuntimeError("no such\nsplit")
        rows = [{"question": "1+1?", "answer": "#### 2"}, {"question": "2+2?", "answer": "####4"}]
        return iter([] if kwargs["split"] == "validation" else rows)

    fake = types.ModuleType("datasets")
    fake.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.setattr(hub, "hub_answers", lambda: True)
    return calls


def test_a_hub_source_streams(hub_calls: list[tuple]) -> None:
    rows = list(open_source("gsm8k", split="test"))
    assert hub_calls == [("openai/gsm8k", "main", {"split": "test", "streaming": True})]
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["2", "4"]
    assert rows[1]["extra_info"]["id"] == "gsm8k/test/1"


def test_a_hub_source_whose_script_is_refused_reads_its_files(hub_calls: list[tuple]) -> None:
    with pytest.raises(DataError, match="no column 'difficulty'; it has question, answer"):
        list(open_source("taco", split="train"))
    files = {"train": "hf://datasets/BAAI/TACO/ALL/train-*.parquet"}
    assert hub_calls[0][0] == "parquet" and hub_calls[0][1]["data_files"] == files


def test_what_the_hub_says_is_one_line(
    hub_calls: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(hub.hub_rows("a/b", "validation")) == []
    with pytest.raises(DataError, match=r"the hub gave no broken/one: RuntimeError: no such →"):
        list(hub.hub_rows("broken/one", "train"))
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    with pytest.raises(DataError, match=r"does not resolve .*FOLDER with train\.jsonl"):
        list(open_source("gsm8k"))


def test_reading_and_filling_a_table_loads_no_pandas(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"question": "1+1?", "answer": "#### 2"}\n')
    code = (
        "import sys\n"
        "from data_prep.sources.open import open_source\n"
        "from data_prep.rows_schema import to_table\n"
        f"table = to_table('rl', list(open_source('gsm8k', {str(tmp_path)!r})))\n"
        "print(table.num_rows, sorted({'pandas', 'torch', 'datasets', 'ray'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "1 []\n", done.stderr
