"""verl's batch arithmetic with values worked by hand, on both sides of each bound.

The base has 4 prompts × 4 responses, mini-batches of 4 prompts, micro-batches of 4 sequences, one
rank. A test changes the numbers that it is about, and applies each fix that is offered: what a
message names as the way out must itself pass.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from launch.preflight import Line, Settings, Status
from launch.preflight.checks_batch import check_batch
from launch.preflight.checks_gpu import check_ranks

Build = Callable[..., Settings]
BATCH = "data.train_batch_size"
ACTOR = "actor_rollout_ref.actor"
ROLLOUT = "actor_rollout_ref.rollout"
MINI = f"{ACTOR}.ppo_mini_batch_size"
MICRO = f"{ACTOR}.ppo_micro_batch_size_per_gpu"
LOGP = f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu"


def only(lines: list[Line], name: str) -> Line:
    """The one line of this name that is no pass."""
    (line,) = [x for x in lines if x.name == name and x.status is not Status.PASS]
    return line


def failures(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.status is Status.FAILURE]


def test_base_passes_and_shows_its_arithmetic(settings: Build) -> None:
    (line,) = check_batch(settings("grpo"))
    assert line.status is Status.PASS
    assert line.got == "4 prompts × 4 = 16 sequences on 1 rank, 1 optimiser step(s) of 4 prompts"


def test_sequences_must_divide_by_the_ranks(settings: Build) -> None:
    # 8 ranks, n=4: prompts must be even. 6 × 4 = 24 = 3 × 8 holds, 7 × 4 = 28 does not.
    ranks = ["hardware.ranks=8", f"{MICRO}=1", f"{LOGP}=1", f"{MINI}=2"]
    good = check_batch(settings("grpo", *ranks, f"{BATCH}=6"))
    assert failures(good) == []
    bad = check_batch(settings("grpo", *ranks, f"{BATCH}=7"))
    line = failures(bad)[0]
    assert line.name == "train batch"
    assert "7 prompts × 4 = 28 sequences, not divisible by 8 ranks" in line.got
    assert line.fixes == (f"{BATCH}=6", f"{BATCH}=8")


def test_nearest_batches_are_whole_mini_batches_too(settings: Build) -> None:
    # 2 ranks, n=1, mini 6: multiples of lcm(2, 6) = 6 next to 13.
    changes = ["hardware.ranks=2", f"{ROLLOUT}.n=1", f"{MINI}=6", f"{MICRO}=3", f"{LOGP}=3"]
    lines = check_batch(settings("ppo", *changes, f"{BATCH}=13", "critic.ppo_mini_batch_size=6"))
    assert failures(lines)[0].fixes == (f"{BATCH}=12", f"{BATCH}=18")


@pytest.mark.parametrize(("prompts", "status"), [(4, Status.PASS), (3, Status.FAILURE)])
def test_batch_holds_a_mini_batch(settings: Build, prompts: int, status: Status) -> None:
    lines = check_batch(settings("grpo", f"{BATCH}={prompts}"))
    assert lines[0].status is status
    if status is Status.FAILURE:
        assert lines[0].fixes == (f"{MINI}=3", f"{BATCH}=4")
        assert "prompts over all GPUs" in lines[0].need


def test_partial_mini_batch_is_filled_with_empty_sequences(settings: Build) -> None:
    # 10 prompts in mini-batches of 4: verl pads to 12, 2 × 4 = 8 empty sequences.
    line = only(check_batch(settings("grpo", f"{BATCH}=10")), "train batch")
    assert line.status is Status.WARNING
    assert "adds 8 empty sequences" in line.got
    assert line.fixes == (f"{BATCH}=8", f"{BATCH}=12")


def test_mini_batch_divides_by_the_data_parallel_ranks(settings: Build) -> None:
    # 8 ranks, n=4: a mini-batch must be even. 3 × 4 = 12 % 8 = 4.
    changes = ["hardware.ranks=8", f"{BATCH}=8", f"{MICRO}=1", f"{LOGP}=1"]
    assert failures(check_batch(settings("grpo", *changes, f"{MINI}=2"))) == []
    line = only(check_batch(settings("grpo", *changes, f"{MINI}=3")), "mini-batch")
    assert "3 × 4 = 12 sequences, not divisible by 8" in line.got
    assert line.fixes == (f"{MINI}=2", f"{MINI}=4")


def test_sequence_parallel_ranks_share_a_sequence(settings: Build) -> None:
    # 8 ranks in pairs: 4 data-parallel. 3 × 4 = 12 sequences are 3 for each.
    changes = ["hardware.ranks=8", f"{BATCH}=6", f"{MINI}=3", f"{MICRO}=3", f"{LOGP}=3"]
    sp = f"{ACTOR}.ulysses_sequence_parallel_size"
    assert failures(check_batch(settings("grpo", *changes, f"{sp}=2"))) == []
    (line,) = check_batch(settings("grpo", *changes, f"{sp}=3"))
    assert line.fixes == (f"{sp}=2", f"{sp}=4")


@pytest.mark.parametrize("micro", [1, 2, 4, 8, 16])
def test_micro_batch_that_divides_passes(settings: Build, micro: int) -> None:
    assert failures(check_batch(settings("grpo", f"{MICRO}={micro}"))) == []


@pytest.mark.parametrize(
    ("micro", "fixes"), [(3, ["2", "4"]), (5, ["4", "8"]), (17, ["16"]), (32, ["16"])]
)
def test_micro_batch_divides_what_a_gpu_gets(settings: Build, micro: int, fixes: list[str]) -> None:
    # A GPU gets 4 prompts × 4 = 16 sequences of a mini-batch.
    line = only(check_batch(settings("grpo", f"{MICRO}={micro}")), "micro-batch")
    assert "the 16 sequences that a GPU gets" in line.got
    assert line.fixes == tuple(f"{MICRO}={fix}" for fix in fixes)


def test_log_prob_micro_batch_divides_the_padded_step(settings: Build) -> None:
    # 10 prompts are padded to 12 × 4 = 48 sequences: 16 divides 48, 20 does not.
    assert failures(check_batch(settings("grpo", f"{BATCH}=10", f"{LOGP}=16"))) == []
    line = only(check_batch(settings("grpo", f"{BATCH}=10", f"{LOGP}=20")), "micro-batch")
    assert line.fixes == (f"{LOGP}=16", f"{LOGP}=24")


def test_reference_needs_its_micro_batch_only_with_a_kl_term(settings: Build) -> None:
    kl = f"{ACTOR}.use_kl_loss=true"
    key = "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu"
    line = only(check_batch(settings("grpo", kl)), "micro-batch")
    assert line.fixes[0] == f"{key}=8"
    assert failures(check_batch(settings("grpo", kl, f"{key}=8"))) == []
    lora = check_batch(settings("grpo", kl, "actor_rollout_ref.model.lora_rank=8"))
    assert failures(lora) == []


def test_unset_micro_batch_is_named_before_verl_asserts(settings: Build) -> None:
    line = only(check_batch(settings("grpo", f"{MICRO}=")), "micro-batch")
    assert line.fixes == (f"{MICRO}=8", f"{ACTOR}.use_dynamic_bsz=true")


def test_deprecated_micro_batch_is_refused(settings: Build) -> None:
    line = only(check_batch(settings("grpo", f"{ACTOR}.ppo_micro_batch_size=4")), "micro-batch")
    assert line.fixes == (f"{ACTOR}.ppo_micro_batch_size=null",)


def test_dynamic_micro_batches_skip_the_per_gpu_sizes(settings: Build) -> None:
    lines = check_batch(settings("grpo", f"{ACTOR}.use_dynamic_bsz=true", f"{MICRO}=3"))
    assert failures(lines) == []


def test_actor_and_rollout_agree_on_dynamic_micro_batches(settings: Build) -> None:
    key = f"{ROLLOUT}.log_prob_use_dynamic_bsz"
    line = only(check_batch(settings("grpo", f"{key}=true")), "micro-batch")
    assert line.fixes == (f"{key}=false",)


@pytest.mark.parametrize(("n", "status"), [(1, Status.FAILURE), (2, Status.PASS)])
def test_group_of_one_has_no_baseline(settings: Build, n: int, status: Status) -> None:
    lines = check_batch(settings("grpo", f"{ROLLOUT}.n={n}", f"{MICRO}=4"))
    assert lines[0].status is status
    if n == 1:
        assert lines[0].name == "group size"
        assert lines[0].fixes[0] == f"{ROLLOUT}.n=8"


def test_ppo_needs_no_group(settings: Build) -> None:
    (line,) = check_batch(settings("ppo", f"{ROLLOUT}.n=1"))
    assert line.status is Status.PASS


def test_critic_mini_batch_divides_by_the_ranks_and_the_batch(settings: Build) -> None:
    changes = ["hardware.ranks=2", f"{ROLLOUT}.n=1", f"{MICRO}=2", f"{LOGP}=2"]
    key = "critic.ppo_mini_batch_size"
    assert failures(check_batch(settings("ppo", *changes, f"{key}=2"))) == []
    line = failures(check_batch(settings("ppo", *changes, f"{key}=3")))[0]
    assert line.name == "critic batch"
    assert line.fixes == (f"{key}=2", f"{key}=4")
    above = failures(check_batch(settings("ppo", *changes, f"{key}=8")))[0]
    assert above.fixes == (f"{key}=4",)


def test_critic_micro_batch_must_be_set_unless_dynamic(settings: Build) -> None:
    key = "critic.ppo_micro_batch_size_per_gpu"
    line = failures(check_batch(settings("ppo", f"{key}=")))[0]
    assert line.fixes == (f"{key}=8", "critic.use_dynamic_bsz=true")
    assert failures(check_batch(settings("ppo", f"{key}=", "critic.use_dynamic_bsz=true"))) == []


def test_local_updates_share_the_batch(settings: Build) -> None:
    mode = "trainer.v1.trainer_mode=separate_async"
    key = "trainer.v1.separate_async.parameter_sync_step"
    assert failures(check_batch(settings("grpo", mode, f"{key}=2"))) == []
    line = failures(check_batch(settings("grpo", mode, f"{key}=3")))[0]
    assert line.fixes == (f"{BATCH}=3", f"{BATCH}=6")


@pytest.mark.parametrize(
    "changes",
    [
        ("hardware.ranks=8", f"{BATCH}=7", f"{MINI}=2", f"{MICRO}=1", f"{LOGP}=1"),
        ("hardware.ranks=8", f"{BATCH}=8", f"{MINI}=3", f"{MICRO}=1", f"{LOGP}=1"),
        (f"{BATCH}=10",),
        (f"{MICRO}=5",),
        (f"{LOGP}=3",),
        (f"{ROLLOUT}.n=1",),
        (f"{BATCH}=3", f"{MICRO}=2", f"{LOGP}=2"),
    ],
)
def test_each_fix_that_is_offered_mends_its_line(settings: Build, changes: tuple[str, ...]) -> None:
    first = next(x for x in check_batch(settings("grpo", *changes)) if x.status is not Status.PASS)
    assert first.fixes
    for fix in first.fixes:
        after = check_batch(settings("grpo", *changes, fix))
        assert [x for x in after if x.got == first.got] == [], fix


def test_each_size_must_be_a_whole_number(settings: Build) -> None:
    from conf.errors import ConfigError

    with pytest.raises(ConfigError, match=r"train_batch_size='many'"):
        check_batch(settings("grpo", f"{BATCH}=many"))
    with pytest.raises(ConfigError, match="at least 1"):
        check_batch(settings("grpo", f"{MINI}=0"))


def test_rollout_replicas_fit_into_the_ranks(settings: Build) -> None:
    tp = f"{ROLLOUT}.tensor_model_parallel_size"
    assert check_ranks(settings("grpo", "hardware.ranks=4", f"{tp}=2")) == []
    (line,) = check_ranks(settings("grpo", "hardware.ranks=4", f"{tp}=3"))
    assert line.fixes == (f"{tp}=2", f"{tp}=4")
    (line,) = check_ranks(settings("grpo", f"{tp}=2"))
    assert line.fixes == (f"{tp}=1", "hardware.ranks=2")


def test_verl_follows_our_ranks(settings: Build) -> None:
    (line,) = check_ranks(settings("grpo", "trainer.n_gpus_per_node=4"))
    assert line.status is Status.FAILURE
    assert line.fixes == ("hardware.ranks=4", "trainer.n_gpus_per_node=1")
