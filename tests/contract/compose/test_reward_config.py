"""The reward's node: what it may hold, what verl gets of it, how it survives a command."""

from __future__ import annotations

import pytest

from conf.errors import ConfigError
from launch import plan
from launch.compose import compose, resolve
from launch.key_check import check_everything

BASE = ["+recipe=arithmetic", "hardware=cpu"]


def test_verl_gets_our_manager_and_our_entry() -> None:
    config = resolve(compose("grpo", [*BASE, "control=shuffled_gold"]))
    manager = config.reward.reward_manager
    assert (manager.source, manager.name) == ("importlib", "VerdictManager")
    assert manager.module.path == "pkg://rewards.verl_manager"
    kwargs = config.reward.custom_reward_function.reward_kwargs
    assert kwargs.control == "shuffled_gold"
    assert kwargs.control_files == config.data.train_files
    assert config.reward_fn.breaker == {"share": 0.02, "window": 512}
    assert config.reward_fn.on_error == "drop"


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("reward_fn.on_error=ignore", "reward_fn.on_error"),
        ("reward_fn.breaker.share=1.5", "reward_fn.breaker.share"),
        ("reward_fn.breaker.share=0", "reward_fn.breaker.share"),
        ("reward_fn.breaker.window=0", "reward_fn.breaker.window"),
        ("reward_fn.deadline=0", "reward_fn.deadline"),
        ("reward_fn.control=konstant", "reward_fn.control"),
        ("reward_fn.group.name=3", "reward_fn.group.name"),
        ("+reward_fn.weights={}", "reward_fn.weights"),
    ],
)
def test_what_the_node_refuses(override: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(compose("grpo", [*BASE, override]))
    assert str(caught.value).startswith(key)


def test_no_deadline() -> None:
    config = resolve(compose("grpo", [*BASE, "reward_fn.deadline=null"]))
    assert config.reward_fn.deadline is None


@pytest.mark.parametrize(
    "formula", ["0.9*math + 0.1*exact", "(math + exact)*0.5 if math >= 1", "'a b.py:f' - math"]
)
def test_a_composition_reaches_the_warm_up_as_it_is(formula: str) -> None:
    escaped = formula.replace("'", "\\'")
    config = resolve(compose("grpo", [*BASE, f"reward_fn.name='{escaped}'"]))
    assert config.reward_fn.name == config.data_prep.reward == formula
    assert config.reward.custom_reward_function.reward_kwargs.reward == formula
    warm = plan.warm_start_config(config)
    assert warm.data_prep == config.data_prep


def test_options_given_whole_are_added_with_a_plus_as_the_message_says() -> None:
    with pytest.raises(ConfigError) as caught:
        check_everything("grpo", [*BASE, "reward_fn.options={several: first}"])
    assert caught.value.fix == "+reward_fn.options={several: first}"
    check_everything("grpo", [*BASE, caught.value.fix])
    assert compose("grpo", [*BASE, caught.value.fix]).reward_fn.options == {"several": "first"}


@pytest.mark.parametrize("job", ["grpo", "ppo", "sft"])
def test_a_model_is_the_policy_s_path(job: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_everything(job, [*BASE, "model=org/name"])
    assert caught.value.fix == "policy.path=org/name"
