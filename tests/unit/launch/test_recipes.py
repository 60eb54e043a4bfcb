"""A recipe based on another: only what differs, from beside it or from those that temper ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.errors import ConfigError
from launch.jobs.package import stage
from launch.recipes import Recipe, builtin_root, find_recipe

FIRST = """
summary: first
choose: {policy: hub}
shared:
  reward_fn: {name: "${run.recipe_dir}/mine.py:score"}
  data_prep: {source: arithmetic, ops: ["+", "-"]}
rl: {data: {train_batch_size: 8, shuffle: false}}
tiny: {rl: {data: {train_batch_size: 2}}}
"""


def write(folder: Path, text: str) -> Recipe:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(text)
    return find_recipe(str(folder))


def test_a_recipe_holds_what_its_base_holds_but_for_what_it_says(tmp_path: Path) -> None:
    write(tmp_path / "first", FIRST)
    second = write(
        tmp_path / "second",
        "summary: second\nbase: first\nshared: {data_prep: {ops: ['*']}}\n"
        "rl: {data: {train_batch_size: 4}}\n",
    )
    assert second.content["summary"] == "second" and "base" not in second.content
    leaves = second.leaves_of("grpo", None)
    assert leaves["data"] == {"train_batch_size": 4, "shuffle": False}
    assert leaves["data_prep"] == {"source": "arithmetic", "ops": ["*"]}
    assert second.leaves_of("grpo", "tiny")["data"]["train_batch_size"] == 2
    assert second.content["choose"] == {"policy": "hub"}


def test_a_bases_files_are_those_of_its_own_folder(tmp_path: Path) -> None:
    first = write(tmp_path / "first", FIRST)
    second = write(tmp_path / "second", "base: first\n")
    third = write(tmp_path / "third", "base: second\n")
    name = third.leaves_of("sft", None)["reward_fn"]["name"]
    assert name == f"{first.folder}/mine.py:score"
    assert third.folders == [first.folder, second.folder, third.folder]


def test_a_shipped_recipe_may_be_the_base_and_one_beside_wins(tmp_path: Path) -> None:
    own = write(tmp_path / "own", "base: arithmetic\n")
    assert own.folders[0] == builtin_root() / "arithmetic"
    beside = write(tmp_path / "arithmetic", "summary: mine\n")
    assert find_recipe(str(tmp_path / "own")).folders[0] == beside.folder


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("arithmetik", r"is no recipe beside this one.* → base: arithmetic"),
        ("../first", "is no recipe beside this one"),
        ("own", r"goes in a circle \(own → own\)"),
        ("round", r"goes in a circle \(own → round → own\)"),
    ],
)
def test_a_base_that_cannot_be(base: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "round").mkdir()
    (tmp_path / "round" / "recipe.yaml").write_text("base: own\n")
    with pytest.raises(ConfigError, match=said):
        write(tmp_path / "own", f"base: {base}\n")


def test_a_job_takes_the_bases_along(tmp_path: Path) -> None:
    write(tmp_path / "first", FIRST)
    second = write(tmp_path / "second", "base: first\n")
    (tmp_path / "upload").mkdir()
    stage(tmp_path / "upload", recipes=second.folders)
    there = find_recipe(str(tmp_path / "upload" / "recipes" / "second"))
    assert there.folders[0] == (tmp_path / "upload" / "recipes" / "first").resolve()
