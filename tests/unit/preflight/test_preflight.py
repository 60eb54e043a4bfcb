"""The whole preflight over real files: its lines, its order, its time, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from conf.errors import ConfigError, PreflightError
from launch.preflight import Report, Status, preflight, run


@pytest.fixture
def ready(make: Any, kit: Any, tmp_path: Path) -> Any:
    """A builder of configurations whose data and model are there."""
    model = kit.write_model(tmp_path / "model")
    rows = [kit.rl_row(i) for i in range(40)]
    sft = [kit.sft_row(i) for i in range(40)]
    files = {
        "grpo": kit.write_parquet(tmp_path / "rl.parquet", rows),
        "ppo": tmp_path / "rl.parquet",
        "sft": kit.write_parquet(tmp_path / "sft.parquet", sft),
    }

    def build(job: str, *overrides: str) -> DictConfig:
        data = [f"data.train_files={files[job]}", f"data.val_files={files[job]}"]
        # A small bound on disk: the tests are about the checks, not about this machine.
        paths = [f"policy.path={model}", "preflight.min_free_gb=0.001"]
        return make(job, *data, *paths, "trainer.total_epochs=1", *overrides)

    return build


def broken(report: Report) -> list[str]:
    """Failures that are not about the machine that runs the tests."""
    about_here = ("versions", "CPU plugin", "memory", "shared memory")
    return [f"{x.name}: {x.got}" for x in report.failures if x.name not in about_here]


@pytest.mark.parametrize("job", ["grpo", "ppo", "sft"])
def test_a_run_that_is_in_order_passes(ready: Any, job: str, tmp_path: Path) -> None:
    before = sorted(p.name for p in tmp_path.iterdir())
    report = preflight(ready(job), with_torch=False)
    assert broken(report) == []
    names = [line.name for line in report.lines]
    for name in ("GPUs", "Ray CPUs", "disk", "model", "tokenizer", "data files", "batch", "steps"):
        assert name in names
    assert ("reward" in names) is (job != "sft")
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_torch_is_asked_and_the_time_of_each_check_is_told(ready: Any) -> None:
    report = preflight(ready("grpo"), with_torch=True)
    assert report.timings is not None and report.timings["torch"] > 0


def test_several_faults_are_told_at_once(ready: Any, tmp_path: Path) -> None:
    bad = ["data.train_batch_size=3", "hardware.ray_cpus=2", "data.max_prompt_length=20"]
    report = preflight(ready("grpo", *bad), with_torch=False)
    names = [line.name for line in report.failures]
    for name in ("train batch", "Ray CPUs", "row lengths"):
        assert name in names
    with pytest.raises(PreflightError, match=r"more: .*row lengths"):
        report.raise_for_failures()


def test_zero_rows_and_missing_model(ready: Any, kit: Any, tmp_path: Path) -> None:
    changes = [f"data.train_files={tmp_path / 'none.parquet'}", "policy.build=null"]
    report = preflight(ready("grpo", *changes, "policy.path=nowhere"), with_torch=False)
    assert any("none.parquet does not exist" in line.got for line in report.failures)
    assert any(line.name == "model" for line in report.failures)


def test_a_value_that_cannot_be_read_is_one_line(ready: Any) -> None:
    report = preflight(ready("grpo", "data.train_batch_size=many"), with_torch=False)
    lines = [line for line in report.failures if "train_batch_size='many'" in line.got]
    assert lines and lines[0].fixes == ("data.train_batch_size=1",)


def test_a_check_that_breaks_is_a_failure(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def boom(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(run, "check_batch", boom)
    report = preflight(ready("grpo"), with_torch=False)
    (line,) = [line for line in report.failures if "this check broke" in line.got]
    assert "RuntimeError: a defect" in line.got


def test_a_tree_that_does_not_resolve_is_refused(ready: Any) -> None:
    with pytest.raises(ConfigError, match="does not resolve"):
        preflight(ready("grpo", "data.seed=${no.such.key}"), with_torch=False)


def test_no_token_is_shown(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hf_" + "planted" * 5
    monkeypatch.setenv("HF_TOKEN", secret)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    changes = ["policy.build=null", "policy.path=no-such-org/no-such-model"]
    report = preflight(ready("grpo", *changes), with_torch=False)
    assert any(line.name == "model" and line.status is Status.FAILURE for line in report.lines)
    assert secret not in f"{report.to_json()} {report.render(80)}"


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, launch.preflight;"
        "print([m for m in ('torch', 'verl', 'ray', 'vllm', 'transformers', 'pyarrow', "
        "'huggingface_hub', 'tokenizers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
