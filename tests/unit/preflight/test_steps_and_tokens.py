"""SFT batches, steps, rows and token budgets, on both sides of each bound."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from launch.preflight import Line, Settings, Status
from launch.preflight.checks_sft import check_sft_batch
from launch.preflight.checks_steps import check_steps, planned_steps
from launch.preflight.checks_tokens import check_tokens

Build = Callable[..., Settings]
BATCH = "data.train_batch_size"
MICRO = "data.micro_batch_size_per_gpu"
STEPS = "trainer.total_training_steps"
EPOCHS = "trainer.total_epochs"
ROLLOUT = "actor_rollout_ref.rollout"
ACTOR = "actor_rollout_ref.actor"


def bad(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.status is not Status.PASS]


# --- SFT batches ------------------------------------------------------------------------------


def test_sft_batch_is_shared_by_the_ranks(settings: Build) -> None:
    # 9 rows on 2 ranks are floored to 8 under torchrun. With micro-batches of 4: 8 or 16.
    assert bad(check_sft_batch(settings("sft", "hardware.ranks=2"))) == []
    (line,) = check_sft_batch(settings("sft", "hardware.ranks=2", f"{BATCH}=9"))
    assert line.status is Status.FAILURE
    assert line.fixes == (f"{BATCH}=8", f"{BATCH}=16")


def test_sft_micro_batch_divides_the_share(settings: Build) -> None:
    # 8 rows on 1 rank: 4 divides, 3 does not.
    (line,) = check_sft_batch(settings("sft", f"{MICRO}=3"))
    assert line.fixes == (f"{MICRO}=2", f"{MICRO}=4", f"{BATCH}=6", f"{BATCH}=9")
    assert bad(check_sft_batch(settings("sft", f"{MICRO}=3", "data.use_dynamic_bsz=true"))) == []


def test_sft_sequence_parallel_divides_the_ranks(settings: Build) -> None:
    key = "engine.ulysses_sequence_parallel_size"
    (line,) = check_sft_batch(settings("sft", "hardware.ranks=4", f"{key}=3"))
    assert line.fixes == (f"{key}=2", f"{key}=4")


# --- steps and rows ---------------------------------------------------------------------------


@pytest.mark.parametrize("job", ["grpo", "sft"])
def test_rows_make_at_least_one_batch(settings: Build, job: str) -> None:
    config = settings(job, f"{BATCH}=8", f"{STEPS}=null")
    assert bad(check_steps(config, 8, 8)) == []
    (line,) = bad(check_steps(config, 7, 8))
    assert line.name == "steps"
    assert line.fixes == (f"{BATCH}=7",)


def test_most_samples_count_as_rows(settings: Build) -> None:
    config = settings("grpo", f"{BATCH}=8", "data.train_max_samples=7")
    (line,) = bad(check_steps(config, 1000, 8))
    assert "7 training rows" in line.got


def test_steps_end_with_the_epochs(settings: Build) -> None:
    # 35 rows in batches of 8: 4 steps an epoch, 12 in 3 epochs.
    base = ["grpo", f"{BATCH}=8", f"{EPOCHS}=3"]
    assert planned_steps(settings(*base, f"{STEPS}=null"), 35) == 12
    assert planned_steps(settings(*base, f"{STEPS}=5"), 35) == 5
    assert bad(check_steps(settings(*base, f"{STEPS}=12"), 35, 8)) == []
    (line,) = bad(check_steps(settings(*base, f"{STEPS}=13"), 35, 8))
    assert line.status is Status.FAILURE
    assert "would stop at 12, without saving" in line.got
    assert line.fixes == (f"{EPOCHS}=4", f"{STEPS}=12")


def test_steps_are_unknown_without_rows(settings: Build) -> None:
    assert planned_steps(settings("grpo", f"{STEPS}=null"), None) is None
    assert planned_steps(settings("grpo", f"{STEPS}=9"), None) == 9
    (line,) = check_steps(settings("grpo", f"{STEPS}=null"), None, None)
    assert line.status is Status.PASS


def test_sft_validation_needs_a_whole_batch(settings: Build) -> None:
    config = settings("sft", f"{BATCH}=8", f"{STEPS}=null")
    assert bad(check_steps(config, 8, 8)) == []
    (line,) = bad(check_steps(config, 8, 7))
    assert "nan" in line.got
    assert line.fixes[0] == f"{BATCH}=7"
    # The RL trainer validates the partial batch too.
    assert bad(check_steps(settings("grpo", f"{BATCH}=8", f"{STEPS}=null"), 8, 7)) == []


@pytest.mark.parametrize(("freq", "count"), [("-1", 0), ("5", 1), ("after_each_epoch", 1)])
def test_sft_without_validation_files_must_not_validate(
    settings: Build, freq: str, count: int
) -> None:
    config = settings("sft", "data.val_files=null", f"trainer.test_freq={freq}")
    lines = bad(check_steps(config, 8, None))
    assert len(lines) == count
    assert all(line.fixes == ("trainer.test_freq=-1",) for line in lines)


def test_rl_needs_validation_files(settings: Build) -> None:
    (line,) = bad(check_steps(settings("grpo", "data.val_files=null"), 8, None))
    assert line.fixes[0].startswith("data.val_files=")


@pytest.mark.parametrize(
    ("job", "key", "value"),
    [
        ("sft", "trainer.test_freq", "0"),
        ("sft", "trainer.save_freq", "0"),
        ("grpo", "trainer.save_freq", "after_each_epoch"),
    ],
)
def test_frequencies_that_verl_cannot_use(settings: Build, job: str, key: str, value: str) -> None:
    (line,) = bad(check_steps(settings(job, f"{key}={value}"), 8, 8))
    assert line.status is Status.FAILURE
    assert line.fixes[0].startswith(f"{key}=")


def test_rl_that_never_saves_is_warned_of(settings: Build) -> None:
    (line,) = bad(check_steps(settings("grpo", "trainer.save_freq=-1"), 8, 8))
    assert line.status is Status.WARNING


# --- token budgets ----------------------------------------------------------------------------


def test_base_lengths_fit(settings: Build) -> None:
    (line,) = check_tokens(settings("grpo"), 512)
    assert line.status is Status.PASS
    assert "80 tokens" in line.got  # 64 + 16


@pytest.mark.parametrize(("limit", "count"), [(80, 0), (79, 1)])
def test_model_length_holds_prompt_and_response(settings: Build, limit: int, count: int) -> None:
    key = f"{ROLLOUT}.max_model_len"
    lines = bad(check_tokens(settings("grpo", f"{key}={limit}"), 512))
    assert len(lines) == count
    if lines:
        assert lines[0].fixes == (f"{key}=80", "data.max_response_length=15")


def test_model_length_stays_within_the_context(settings: Build) -> None:
    key = f"{ROLLOUT}.max_model_len"
    assert bad(check_tokens(settings("grpo", f"{key}=128"), 128)) == []
    (line,) = bad(check_tokens(settings("grpo", f"{key}=129"), 128))
    assert line.fixes == (f"{key}=128",)


def test_context_counts_where_no_length_is_set(settings: Build) -> None:
    config = settings("grpo", f"{ROLLOUT}.max_model_len=null")
    assert bad(check_tokens(config, 80)) == []
    (line,) = bad(check_tokens(config, 70))
    assert line.fixes == ("data.max_response_length=6",)
    assert bad(check_tokens(config, None)) == []


def test_prompt_alone_may_fill_the_context(settings: Build) -> None:
    (line,) = bad(check_tokens(settings("grpo", f"{ROLLOUT}.max_model_len=null"), 60))
    assert line.fixes == ("data.max_prompt_length=30 data.max_response_length=30",)


@pytest.mark.parametrize(("budget", "sp", "count"), [(80, 1, 0), (79, 1, 1), (40, 2, 0)])
def test_dynamic_budget_holds_one_sequence(
    settings: Build, budget: int, sp: int, count: int
) -> None:
    config = settings(
        "grpo",
        "hardware.ranks=2",
        f"{ACTOR}.use_dynamic_bsz=true",
        f"{ACTOR}.ppo_max_token_len_per_gpu={budget}",
        f"{ROLLOUT}.log_prob_max_token_len_per_gpu=80",
        f"{ACTOR}.ulysses_sequence_parallel_size={sp}",
    )
    lines = bad(check_tokens(config, 512))
    assert [line.fixes for line in lines] == [(f"{ACTOR}.ppo_max_token_len_per_gpu=80",)] * count


def test_critic_has_a_budget_that_verls_tree_does_not_name(settings: Build) -> None:
    long = ["data.max_prompt_length=32768", f"{ROLLOUT}.max_model_len=null"]
    (line,) = bad(check_tokens(settings("ppo", *long), None))
    assert line.fixes == ("+critic.ppo_infer_max_token_len_per_gpu=32784",)
    assert bad(check_tokens(settings("ppo"), None)) == []


def test_scheduler_takes_a_token_of_each_sequence(settings: Build) -> None:
    tokens, seqs = f"{ROLLOUT}.max_num_batched_tokens", f"{ROLLOUT}.max_num_seqs"
    assert bad(check_tokens(settings("grpo", f"{tokens}=256", f"{seqs}=256"), 512)) == []
    (line,) = bad(check_tokens(settings("grpo", f"{tokens}=255", f"{seqs}=256"), 512))
    assert line.fixes == (f"{tokens}=256", f"{seqs}=255")


def test_without_chunked_prefill_a_prompt_is_scheduled_whole(settings: Build) -> None:
    tokens = f"{ROLLOUT}.max_num_batched_tokens"
    whole = [f"{ROLLOUT}.enable_chunked_prefill=false", f"{ROLLOUT}.max_num_seqs=8"]
    assert bad(check_tokens(settings("grpo", *whole, f"{tokens}=128"), 512)) == []
    (line,) = bad(check_tokens(settings("grpo", *whole, f"{tokens}=127"), 512))
    assert line.status is Status.WARNING


def test_sft_budget_and_context(settings: Build) -> None:
    key = "data.max_token_len_per_gpu"
    dynamic = "data.use_dynamic_bsz=true"
    assert bad(check_tokens(settings("sft", dynamic, f"{key}=128"), 128)) == []
    (line,) = bad(check_tokens(settings("sft", dynamic, f"{key}=127"), 128))
    assert line.fixes == (f"{key}=128",)
    (line,) = bad(check_tokens(settings("sft"), 127))
    assert line.fixes == ("data.max_length=127",)
