"""Composition: recipes by name and by path, what wins over what, what is refused and how."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conf.errors import ConfigError
from launch.compose import compose, prepare, resolve
from launch.key_check import check_command_line, check_everything
from launch.recipes import builtin_root, find_recipe, recipe_names
from rewards.doctor_rows import from_recipe

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("job", ["grpo", "ppo", "sft"])
@pytest.mark.parametrize("recipe", ["arithmetic", "gsm8k", "custom_reward"])
def test_every_recipe_sets_only_keys_that_are_read(job: str, recipe: str) -> None:
    """Each shipped recipe, with each policy, holds against the tree and the table of dead keys."""
    check_everything(job, [f"+recipe={recipe}", "hardware=cpu", "policy=tiny"])


@pytest.mark.parametrize(
    ("job", "hardware"),
    [("ppo", "cpu"), ("grpo", "gpu"), ("sft", "gpu8x2"), ("sft", "cpu"), ("sft", "gpu1")],
)
def test_every_hardware_resolves(job: str, hardware: str) -> None:
    """Nothing mandatory is left open, and ranks reach verl's own keys."""
    given = ["+recipe=gsm8k", f"hardware={hardware}", "hardware.ranks=4"]
    config = resolve(compose(job, given))
    assert config.trainer.n_gpus_per_node == 4
    assert config.trainer.nnodes == (2 if hardware == "gpu8x2" else 1)
    assert config.trainer.device == ("cpu" if hardware == "cpu" else "cuda")


def test_the_command_line_wins_over_the_recipe_and_the_recipe_over_the_root() -> None:
    """root save_freq 20 < recipe arithmetic < command line."""
    root = compose("grpo", ["hardware=cpu"])
    recipe = compose("grpo", ["+recipe=gsm8k"])
    line = compose("grpo", ["+recipe=gsm8k", "actor_rollout_ref.rollout.n=16"])
    assert root.actor_rollout_ref.rollout.n == 8
    assert recipe.actor_rollout_ref.rollout.n == 5
    assert line.actor_rollout_ref.rollout.n == 16


def test_numbers_of_a_recipe_are_numbers() -> None:
    """YAML 1.1 reads 1e-6 as text; a learning rate must not be text."""
    assert compose("grpo", ["+recipe=gsm8k"]).actor_rollout_ref.actor.optim.lr == 1e-6


@pytest.mark.parametrize("plus", ["", "+"])
def test_a_control_arm_is_chosen_with_or_without_a_plus(plus: str) -> None:
    given = ["+recipe=arithmetic", "hardware=cpu", f"{plus}control=random_reward"]
    assert compose("grpo", given).reward.custom_reward_function.reward_kwargs.control == "random"


def test_tiny_brings_the_recipe_s_rehearsal_and_its_own_model() -> None:
    """policy=tiny replaces the recipe's model and applies the recipe's section `tiny`."""
    real = compose("grpo", ["+recipe=gsm8k", "hardware=cpu"])
    tiny = compose("grpo", ["+recipe=gsm8k", "hardware=cpu", "policy=tiny"])
    assert real.policy.path == "Qwen/Qwen2.5-0.5B-Instruct" and real.policy.build is None
    assert tiny.policy.path == "data/tiny-policy-seed1" and tiny.policy.build == "tiny"
    assert (real.data.train_batch_size, tiny.data.train_batch_size) == (1024, 16)
    assert tiny.trainer.total_training_steps == 2


def test_a_control_arm_changes_the_training_reward_and_nothing_else() -> None:
    """The grader of data and evaluation stays the recipe's."""
    plain = resolve(compose("grpo", ["+recipe=arithmetic", "hardware=cpu"]))
    arm = resolve(
        compose("grpo", ["+recipe=arithmetic", "hardware=cpu", "control=constant_reward"])
    )
    kwargs = arm.reward.custom_reward_function.reward_kwargs
    assert kwargs.reward == "math" and kwargs.control == "constant"
    assert arm.data_prep == plain.data_prep


def test_a_recipe_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By path from anywhere; by name from ./recipes; its folder is known to it."""
    folder = tmp_path / "recipes" / "mine"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(
        "choose: {policy: tiny}\n"
        "shared: {data_prep: {source: arithmetic, max_operand: 9},"
        " reward_fn: {name: '${run.recipe_dir}/r.py:f'}}\n"
    )
    by_path = compose("grpo", [f"+recipe={folder}", "hardware=cpu"])
    monkeypatch.chdir(tmp_path)
    by_name = compose("grpo", ["+recipe=mine", "hardware=cpu"])
    for config in (by_path, by_name):
        assert config.run.recipe == "mine"
        assert config.reward_fn.name == f"{folder}/r.py:f"
        assert config.data_prep.max_operand == 9
    assert "mine" in recipe_names()


def test_a_slip_in_a_recipe_names_its_file(tmp_path: Path) -> None:
    """A key that nothing has, in a recipe of one's own, is refused before anything runs."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "recipe.yaml").write_text("rl: {trainer: {tota_epochs: 3}}\n")
    with pytest.raises(ConfigError) as caught:
        check_command_line("grpo", prepare("grpo", [f"+recipe={folder}", "hardware=cpu"]))
    assert "recipe.yaml" in str(caught.value) and "trainer.total_epochs" in str(caught.value)


def test_an_unknown_section_is_refused(tmp_path: Path) -> None:
    """verl's keys stand below rl or sft, not at the top."""
    (tmp_path / "recipe.yaml").write_text("gropo: {}\n")
    with pytest.raises(ConfigError, match="unknown section 'gropo'") as caught:
        find_recipe(str(tmp_path))
    assert caught.value.fix == "rename it to grpo"


def test_an_unknown_recipe_names_the_nearest() -> None:
    """One letter off."""
    with pytest.raises(ConfigError) as caught:
        find_recipe("gsm8")
    assert caught.value.fix == "+recipe=gsm8k"


def test_relative_paths_become_absolute_and_hub_ids_stay() -> None:
    """Workers run in other folders; a hub id is no path."""
    config = resolve(compose("grpo", ["+recipe=gsm8k", "hardware=cpu"]))
    assert config.run.dir == str(Path("runs/gsm8k/grpo").resolve())
    assert Path(config.data.train_files).is_absolute()
    assert config.actor_rollout_ref.model.path == "Qwen/Qwen2.5-0.5B-Instruct"


def cli(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """An entry point as the user starts it."""
    return subprocess.run(
        [sys.executable, "-m", "launch.grpo", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [
        ("trainer.tota_epochs=3", 2, "nearest: trainer.total_epochs"),
        ("custom_reward_function.path=a.py", 2, "use reward.custom_reward_function.path"),
        ("algorithm.filter_groups.max_num_gen_batches=3", 2, "composes but no code"),
        ("hardware=gpu3", 2, "hardware has no option gpu3"),
        ("+foo.bar=1", 2, "unknown key foo.bar"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(argument: str, code: int, said: str) -> None:
    """No traceback, no half-written anything, the way out in the line."""
    done = cli("+recipe=arithmetic", argument)
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.mark.parametrize("job", ["grpo", "ppo", "sft"])
def test_without_a_recipe_the_recipes_are_named(job: str) -> None:
    with pytest.raises(ConfigError, match="no recipe was named; there are arithmetic, ") as caught:
        resolve(compose(job, ["hardware=cpu"]))
    assert caught.value.fix == "+recipe=arithmetic"


def test_the_bare_command_is_one_line() -> None:
    done = cli()
    assert done.returncode == 2, done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert said.startswith("error: no recipe was named") and said.endswith("→ +recipe=arithmetic")


def test_cfg_job_prints_yaml_and_needs_neither_torch_nor_verl(tmp_path: Path) -> None:
    """From an empty folder, leaving it empty."""
    done = cli("--cfg", "job", "+recipe=arithmetic", "run.seed=7", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert OmegaConf.create(done.stdout).run.seed == 7
    assert list(tmp_path.iterdir()) == []


def test_composition_is_light() -> None:
    """Neither torch nor verl nor Ray is imported, whatever the clock says."""
    code = (
        "import sys; from launch.compose import compose, resolve;"
        "resolve(compose('ppo', ['+recipe=gsm8k', 'hardware=gpu8']));"
        "print([m for m in ('torch', 'verl', 'ray', 'vllm', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_help_names_the_recipes() -> None:
    """What there is to run stands in --help."""
    done = cli("--help")
    assert done.returncode == 0, done.stderr
    for name in (path.parent.name for path in builtin_root().glob("*/recipe.yaml")):
        assert name in done.stdout


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("guard.action=ignore", "guard.action is 'ignore'"),
        ("evaluation.n=0", "evaluation.n is 0"),
        ("selection.checkpoint=first", "selection.checkpoint is 'first'"),
        ("hardware.ranks=two", "hardware.ranks is 'two'"),
        ("policy.build=large", "policy.build is 'large'"),
        ("~selection", "selection was taken out"),
        ("run=null", "data_prep.out: .*node `run` is not a container"),
        ("~hardware.ranks", "'hardware.ranks' not found"),
    ],
)
def test_our_nodes_keep_their_contracts(override: str, said: str) -> None:
    """A value that would be taken for another one later is refused by name."""
    with pytest.raises(ConfigError, match=said):
        resolve(compose("grpo", ["+recipe=arithmetic", "hardware=cpu", override]))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.train_batch_size=foo", "data.train_batch_size is 'foo'; .*valid integer"),
        ("data.train_batch_size=", "data.train_batch_size is ''; .*valid integer"),
        ("data.train_batch_size=null", "data.train_batch_size is None; .*valid integer"),
        ("data.train_batch_size=0", "data.train_batch_size is 0; .*greater than or equal to 1"),
        ("data.train_batch_size=8.5", "data.train_batch_size is 8.5; .*valid integer"),
        ("data.train_max_samples=x", "data.train_max_samples is 'x'; .*valid integer"),
        ("data.val_max_samples=null", "data.val_max_samples is None; .*valid integer"),
        ("data.train_files=[]", r"data.train_files is \[\]; a file's path or a list"),
        ("data.train_files=null", "data.train_files is None; a file's path or a list"),
        ("data.val_files=[a.parquet,3]", "data.val_files is .*; a file's path or a list"),
        ("trainer.total_epochs=null", "trainer.total_epochs is None; .*valid integer"),
        ("trainer.total_training_steps=abc", "trainer.total_training_steps is 'abc'; .*integer"),
        ("trainer.total_training_steps=0", "trainer.total_training_steps is 0; .*equal to 1"),
        ("trainer.save_freq=often", "trainer.save_freq is 'often'; a whole number of steps"),
        ("~trainer.total_epochs", "trainer.total_epochs was taken out"),
        ("~trainer", "trainer was taken out"),
        ("trainer=null", "trainer is None; it is a node"),
    ],
)
@pytest.mark.parametrize("job", ["grpo", "sft"])
def test_a_mistyped_value_of_verl_s_that_we_read_is_refused_by_name(
    job: str, override: str, said: str
) -> None:
    """One line at composing, rather than a traceback once the data are there."""
    with pytest.raises(ConfigError, match=said):
        resolve(compose(job, ["+recipe=arithmetic", "hardware=cpu", override]))


@pytest.mark.parametrize(
    "override", ["data.val_files=null", "data.train_files=[a,b]", "trainer.save_freq=-1"]
)
def test_what_verl_takes_is_taken(override: str) -> None:
    resolve(compose("sft", ["+recipe=arithmetic", "hardware=cpu", override]))


def test_the_doctor_refuses_a_recipe_as_the_launcher_does() -> None:
    """Its exit code too: a wrong configuration is no broken reward."""
    with pytest.raises(ConfigError, match="no recipe 'arithmetik'"):
        from_recipe(["+recipe=arithmetik"], 1)
    with pytest.raises(ConfigError, match=r"nearest: policy\.path"):
        from_recipe(["+recipe=arithmetic", "model=org/name"], 1)
