"""What is refused before anything heavy starts: a missing platform, a wrong launcher."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conf.errors import ConfigError, PlatformError
from launch.bridge.sft_torchrun import processes, replace_process
from launch.cpu_platform import device_check


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"VERL_USE_EXTERNAL_PLUGINS": "none"}, "VERL_USE_EXTERNAL_PLUGINS=none hides it"),
        ({"VERL_USE_EXTERNAL_PLUGINS": "other,more"}, "VERL_USE_EXTERNAL_PLUGINS=other,more hides"),
        ({"VERL_PLATFORM": "nvidia"}, "VERL_PLATFORM=nvidia asks for another"),
    ],
)
def test_the_reason_of_a_missing_platform_is_said(
    environment: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def unknown(_actor: object) -> str:
        raise ValueError("Unknown platform 'cpu'. Registered: ('nvidia',).")

    monkeypatch.setattr(device_check, "reported_device", unknown)
    with pytest.raises(PlatformError, match="verl knows no platform 'cpu' here") as caught:
        device_check.require_here("cpu")
    assert reason in caught.value.message
    assert caught.value.fix == f"unset {next(iter(environment))}"


def test_a_worker_s_unknown_platform_is_known_from_its_text() -> None:
    wrapped = RuntimeError("ray::Worker() …\nValueError: Unknown platform 'cpu'. Registered: ()")
    assert isinstance(device_check.missing_platform(wrapped), PlatformError)
    assert device_check.missing_platform(RuntimeError("out of memory")) is None


@pytest.mark.parametrize(
    ("hardware", "message"),
    [
        ({"launcher": "torchruns", "nodes": 1}, "'torchruns', but must be ray or torchrun"),
        ({"launcher": "torchrun", "nodes": 2}, "torchrun is for one host"),
    ],
)
def test_torchrun_is_refused_where_it_cannot_serve(
    hardware: dict[str, object], message: str, tmp_path: Path
) -> None:
    config = OmegaConf.create({"hardware": {"device": "cpu", "ranks": 1, **hardware}})
    with pytest.raises(ConfigError, match=message) as caught:
        replace_process(config, tmp_path)
    assert caught.value.fix == "hardware.launcher=ray"


def test_a_cpu_run_has_as_many_processes_as_ranks() -> None:
    assert processes(OmegaConf.create({"hardware": {"device": "cpu", "ranks": 3}})) == 3
