"""Row builders refuse what breaks verl later, and all files share one schema."""

from __future__ import annotations

import pyarrow as pa
import pytest

from conf.errors import DataError
from data_prep.rows import rl_row, sft_row
from data_prep.rows_schema import from_table, to_table

USER = {"role": "user", "content": "1+1="}
RL = {
    "prompt": [USER],
    "ground_truth": "2",
    "data_source": "a",
    "ability": "math",
    "id": "a/train/0",
    "split": "train",
    "index": 0,
    "licence": "MIT",
}
SFT = {
    "messages": [USER, {"role": "assistant", "content": "#### 2"}],
    "data_source": "a",
    "id": "a/sft_train/0",
    "split": "train",
    "index": 0,
    "licence": "MIT",
}


def test_ground_truth_and_index_are_strings_whatever_came() -> None:
    rows = [rl_row(**{**RL, "ground_truth": gold, "index": i}) for gold, i in ((2, 0), ("2", "0"))]
    assert rows[0] == rows[1]
    assert rows[0]["reward_model"]["ground_truth"] == "2"
    assert rows[0]["extra_info"]["index"] == "0"


def test_rows_fill_their_schema_without_loss() -> None:
    for kind, row in (("rl", rl_row(**RL)), ("sft", sft_row(**SFT))):
        table = to_table(kind, [row])
        assert from_table(kind, table) == [row]
        assert set(row) <= set(table.column_names)
        structs = [field.type for field in table.schema if pa.types.is_struct(field.type)]
        assert all(struct.num_fields for struct in structs)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": "1+1="}, "prompt"),
        ({"prompt": [{"role": "user"}]}, r"prompt\[0\]"),
        ({"prompt": [{"role": "human", "content": "x"}]}, r"prompt\[0\].role"),
        ({"prompt": [USER, {"role": "assistant", "content": "x"}]}, "prompt"),
        ({"prompt": [{"role": "user", "content": " "}]}, r"prompt\[0\].content"),
        ({"prompt": [{"role": "user", "content": "\ud800"}]}, r"prompt\[0\].content"),
        ({"ground_truth": None}, "ground_truth"),
        ({"ground_truth": ""}, "ground_truth"),
        ({"ground_truth": 1.5}, "ground_truth"),
        ({"data_source": None}, "data_source"),
        ({"index": None}, "index"),
        ({"split": ""}, "split"),
    ],
)
def test_bad_values_name_row_and_column(change: dict, column: str) -> None:
    with pytest.raises(DataError, match=f"row a/train/0, column .*{column}"):
        rl_row(**{**RL, **change})


def test_sft_needs_an_assistant() -> None:
    with pytest.raises(DataError, match="row a/sft_train/0, column messages"):
        sft_row(**{**SFT, "messages": [USER]})
