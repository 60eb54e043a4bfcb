"""A command line here becomes one that holds on a cluster; secrets and relative folders do not."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conf.errors import ConfigError
from launch.compose import compose, resolve
from launch.jobs.plan import plan, quoted, refuse_secrets, with_hardware

RECIPE = ["+recipe=arithmetic", "hardware=cpu"]


def values(overrides: list[str]) -> dict[str, str]:
    return dict(text.lstrip("+").split("=", 1) for text in overrides)


def test_on_this_host_folders_are_those_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = plan("sft", [*RECIPE, "data_prep.sft_size=64"], this_host=True)
    there = values(made.arguments)
    assert there["run.root"] == f"{tmp_path}/runs"
    assert there["data_prep.out"] == f"{tmp_path}/data/arithmetic-seed1"
    assert there["policy.path"] == f"{tmp_path}/data/tiny-policy-seed1"
    assert there["data_prep.sft_size"] == "64"
    assert there["hardware.ray_address"] == "auto"
    assert made.run_dir == tmp_path / "runs" / "arithmetic" / "sft"
    assert shlex.split(made.entrypoint)[:4] == ["exec", "python", "-m", "launch.sft"]


def test_what_the_cluster_composes_is_what_was_composed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "it's here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    made = plan("grpo", [*RECIPE, "trainer.total_training_steps=3"], this_host=True)
    monkeypatch.chdir(there)
    again = resolve(compose("grpo", made.arguments))
    again.hardware.ray_address = None
    assert OmegaConf.to_container(again) == OmegaConf.to_container(made.config)


def test_elsewhere_a_relative_run_root_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"run\.root=runs is relative.*run\.root=/"):
        plan("sft", RECIPE, this_host=False)


def test_elsewhere_other_folders_lie_beside_the_shared_run_root() -> None:
    made = plan("sft", [*RECIPE, "run.root=/shared/runs"], this_host=False)
    there = values(made.overrides)
    assert there["data_prep.out"] == "/shared/data/arithmetic-seed1"
    assert there["policy.path"] == "/shared/data/tiny-policy-seed1"
    assert any("data_prep.out=/shared/data" in note for note in made.notes)


def test_elsewhere_a_hub_id_stays_one() -> None:
    overrides = [
        "+recipe=arithmetic",
        "hardware=cpu",
        "policy=hub",
        "policy.path=Qwen/Qwen2.5-0.5B",
    ]
    made = plan("sft", [*overrides, "run.root=/shared/runs"], this_host=False)
    assert values(made.overrides)["policy.path"] == "Qwen/Qwen2.5-0.5B"


def test_elsewhere_local_data_of_this_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data_prep\.local=raw is a path of this host"):
        plan("sft", [*RECIPE, "run.root=/shared/runs", "data_prep.local=raw"], this_host=False)


def test_a_reward_file_travels_and_is_named_by_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("def score(*_): return 1.0\n")
    monkeypatch.chdir(tmp_path)
    made = plan("grpo", [*RECIPE, "reward_fn.name=mine.py:score"], this_host=True)
    inside = "files/reward_fn_name/mine.py"
    assert made.files == {inside: tmp_path / "mine.py"}
    assert values(made.overrides)["reward_fn.name"] == f"{inside}:score"


def test_a_file_of_the_recipe_travels_with_its_folder(repo: Path) -> None:
    made = plan("grpo", ["+recipe=custom_reward", "hardware=cpu"], this_host=True)
    reward = values(made.overrides)["reward_fn.name"]
    assert reward == "recipes/custom_reward/reward.py:score"
    assert made.files == {}


@pytest.mark.parametrize(
    "reward",
    [
        ["reward_fn.name=0.9*math+0.1*style", "+reward_fn.options.style.use=mine.py:neat"],
        [
            "reward_fn.name='0.9*math + 0.1*style'",
            "++reward_fn.options={style: {use: 'mine.py:neat'}}",
        ],
    ],
)
def test_a_part_of_a_composed_reward_travels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reward: list[str]
) -> None:
    (tmp_path / "mine.py").write_text("def neat(*_): return 1.0\n")
    monkeypatch.chdir(tmp_path)
    made = plan("grpo", [*RECIPE, *reward], this_host=True)
    inside = "files/reward_fn_options_style_use/mine.py"
    assert made.files == {inside: tmp_path / "mine.py"}
    there = resolve(compose("grpo", made.arguments))
    assert there.reward_fn.options == {"style": {"use": f"{inside}:neat"}}
    assert there.data_prep.reward_options == there.reward_fn.options
    assert there.reward_fn.name == made.config.reward_fn.name


def test_a_file_of_the_recipe_in_a_formula_and_a_list_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "style.py").write_text("")
    (folder / "recipe.yaml").write_text(
        "choose: {policy: tiny}\n"
        "shared:\n"
        "  reward_fn:\n"
        "    name: 0.9*math + 0.1*${run.recipe_dir}/style.py:neat\n"
        "    options: {math: {tables: ['${run.recipe_dir}/style.py']}}\n"
        "  data_prep: {source: arithmetic, eval_sets: sets}\n"
    )
    monkeypatch.chdir(tmp_path)
    there = values(plan("grpo", ["+recipe=own", "hardware=cpu"], this_host=True).overrides)
    assert there["reward_fn.name"] == "'0.9*math + 0.1*recipes/own/style.py:neat'"
    assert there["data_prep.eval_sets"] == f"{tmp_path}/sets"
    assert not [key for key in there if "options" in key]
    with pytest.raises(ConfigError, match="eval_sets=sets is a path of this host"):
        plan("grpo", ["+recipe=own", "hardware=cpu", "run.root=/shared/runs"], this_host=False)


def test_a_recipe_given_by_path_becomes_its_name(tmp_path: Path, repo: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    source = repo / "recipes" / "arithmetic" / "recipe.yaml"
    (folder / "recipe.yaml").write_text(source.read_text(encoding="utf-8"))
    made = plan("sft", [f"+recipe={folder}", "hardware=cpu"], this_host=True)
    assert made.overrides[0] == "+recipe=own"
    assert made.recipe == folder


@pytest.mark.parametrize(
    ("gpus", "given", "wanted"),
    [
        (0, [], "cpu"),
        (8, [], "gpu8"),
        (8, ["hardware=auto"], "gpu8"),
        (8, ["hardware=cpu"], "cpu"),
        (0, ["hardware=gpu2"], "gpu2"),
    ],
)
def test_hardware_is_the_clusters_unless_it_was_named(
    gpus: int, given: list[str], wanted: str
) -> None:
    made = with_hardware(plan("sft", ["+recipe=arithmetic", *given], this_host=True), gpus)
    assert values(made.overrides)["hardware"] == wanted
    assert made.config.hardware.name == wanted


@pytest.mark.parametrize(
    "override",
    [
        "+trainer.wandb_api_key=0123456789abcdef",
        "policy.path=https://user:hunter22@hub/model",
        "run.name=hf_abcdefghijklmnopqrstuvwx",
        "run.name=planted-in-the-environment",
    ],
)
def test_a_secret_is_refused_and_not_repeated(
    override: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "planted-in-the-environment")
    with pytest.raises(ConfigError, match="holds a secret") as caught:
        refuse_secrets(["+recipe=arithmetic", override])
    assert override.split("=", 1)[1] not in str(caught.value)


def test_ordinary_overrides_are_no_secrets() -> None:
    refuse_secrets(["evaluation.max_tokens=512", "data.max_response_length=16", "~trainer.logger"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no recipe"),
        (["+recipe=arithmetik"], "no recipe 'arithmetik'"),
        ([*RECIPE, "--cfg"], "is no override"),
        ([*RECIPE, "word"], "is no override"),
        ([*RECIPE, "hardware.ray_address=host:6379"], "a job joins the cluster that runs it"),
        ([*RECIPE, "trainer.total_trainin_steps=3"], "trainer.total_training_steps"),
    ],
)
def test_a_wrong_command_line_is_refused_here(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan("sft", arguments, this_host=True)


@pytest.mark.parametrize("text", ["/a/b", "it's", "back\\slash", "a,b=[c] {d}", "ü ü", "a\\'b\\"])
def test_a_quoted_value_is_read_back_by_hydra(text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (read,) = OverridesParser.create().parse_overrides([quoted("key", text)])
    value = read.value()
    assert (value if isinstance(value, str) else value.text) == text
