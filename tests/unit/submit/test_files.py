"""Files that a configuration names: what travels, under which name, and what is refused.

1. A file travels whether it is a value, a part of a formula, or what a part's `use` names.
2. A recipe's file goes with its folder; two files of one name stay two.
3. What another key says is not said twice; names that are no files are left alone.
4. What cannot travel is refused with the way out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conf.errors import ConfigError
from launch.jobs.files import Files


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "a/style.py",
        "b/style.py",
        "own/reward.py",
        "own/.x/y.py",
        "tools.yaml",
        "r.jsonl",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def placed(
    here: Path, written: Mapping[str, Any], this_host: bool = False, **changed: Any
) -> Files:
    """The files of a tree without interpolations, but for keys that `changed` resolves."""
    empty = {"reward_fn": {"name": "math", "options": {}}, "data_prep": {"reward_options": {}}}
    tree = {**empty, **written}
    files = Files(here / "own", this_host, changed.pop("working_dir", None))
    files.place(tree, {**tree, **changed})
    return files


def test_parts_of_a_formula_and_of_their_options_travel(here: Path) -> None:
    reward = {
        "name": "0.5*math + 0.3*a/style.py:neat - 0.1*'b/style.py:loud' + 0.1*short"
        " if own/reward.py:ok",
        "options": {"short": {"use": "a/style.py:short", "weight": 2}},
    }
    found = placed(here, {"reward_fn": reward})
    assert found.values == {
        "reward_fn.name": "0.5*math + 0.3*files/reward_fn_name/style.py:neat"
        " - 0.1*'files/reward_fn_name_/style.py:loud' + 0.1*short if recipes/own/reward.py:ok",
        "reward_fn.options.short.use": "files/reward_fn_name/style.py:short",
    }
    assert found.uploads == {
        "files/reward_fn_name/style.py": here / "a/style.py",
        "files/reward_fn_name_/style.py": here / "b/style.py",
    }


def test_any_key_may_name_a_file(here: Path) -> None:
    tree = {
        "reward_fn": {"name": "m", "options": {}, "group": {"name": "a/style.py:whole"}},
        "data": {"sampler": {"class_path": f"file://{here}/b/style.py"}, "tools": "tools.yaml"},
    }
    found = placed(here, tree)
    assert found.values == {
        "reward_fn.group.name": "files/reward_fn_group_name/style.py:whole",
        "data.sampler.class_path": "files/data_sampler_class_path/style.py",
        "data.tools": "files/data_tools/tools.yaml",
    }
    assert set(found.uploads.values()) == {
        here / "a/style.py",
        here / "b/style.py",
        here / "tools.yaml",
    }


def test_a_hidden_file_of_the_recipe_is_taken_along(here: Path) -> None:
    found = placed(here, {"data": {"path": "own/.x/y.py"}})
    assert found.values == {"data.path": "recipes/own/.x/y.py"}
    assert found.uploads == {"recipes/own/.x/y.py": here / "own/.x/y.py"}


def test_a_reference_follows_and_other_names_stay(here: Path) -> None:
    prepared = {"reward": "${reward_fn.name}", "reward_options": "${reward_fn.options}"}
    tree = {
        "reward_fn": {"name": "a/style.py:neat", "options": {"k": ".*x.py", "t": "none.yaml"}},
        "data": {"cls": "pkg://data_prep.rows", "key": 1, "of": ["math", None], "hub": "org/name"},
        "data_prep": prepared,
    }
    resolved = {"reward": "a/style.py:neat", "reward_options": tree["reward_fn"]["options"]}  # type: ignore[index]
    found = placed(here, tree, data_prep=resolved)
    assert found.values == {"reward_fn.name": "files/reward_fn_name/style.py:neat"}


def test_what_the_job_has_anyway_is_left_alone(here: Path) -> None:
    (here / "more").mkdir()
    (here / "more" / "mine.py").write_text("")
    tree = {
        "reward_fn": {"name": "mine.py:score", "options": {}},
        "x": {"shipped": "recipes/custom_reward/reward.py:score", "there": "/shared/x.py:f"},
    }
    assert placed(here, tree, working_dir=here / "more").values == {}


def test_rows_go_by_an_absolute_path(here: Path) -> None:
    tree = {"data": {"train_files": "r.jsonl"}}
    assert placed(here, tree, this_host=True).values == {"data.train_files": f"{here}/r.jsonl"}
    assert placed(here, {"data": {"train_files": f"{here}/r.jsonl"}}).values == {}
    (here / "r.json").write_text("[]")
    assert placed(here, {"data": {"val_files": f"{here}/r.json"}}, this_host=True).uploads == {}
    with pytest.raises(ConfigError, match=r"train_files=r\.jsonl is a file of this host"):
        placed(here, tree)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"reward_fn": {"name": "math + non.py:f", "options": {}}},
            r"names non\.py, and there is no",
        ),
        ({"data": {"path": "/none/non.py"}}, r"data\.path names /none/non\.py, and there is no"),
        ({"data": {"paths": ["tools.yaml"]}}, r"data\.paths\.\[0\] names the file tools\.yaml"),
        (
            {
                "reward_fn": {
                    "name": "math + a/style.py:f",
                    "options": {"a/style.py:f": {"weight": 2}},
                }
            },
            r"which a job has elsewhere.*use: 'a/style\.py:f'",
        ),
    ],
)
def test_what_cannot_travel_is_refused(here: Path, tree: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        placed(here, tree, this_host=True)


def test_a_file_that_cannot_be_read_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match=r"tools\.yaml cannot be read"):
        placed(here, {"data": {"tools": "tools.yaml"}})
