"""An error of ours, raised in a Ray worker, is itself again at the launcher: type, message, fix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ray.exceptions import RayTaskError

from conf.errors import GuardError, PlatformError, TemperError
from launch.bridge import ray_session
from launch.bridge.__main__ import cause_of, leave_failure


def _through_ray(error: BaseException) -> BaseException:
    """As `ray.get` raises it: an instance of the error's class, but of a type of Ray's making."""
    raised = RayTaskError("run", "Traceback …", error).as_instanceof_cause()
    assert type(raised) is not type(error)
    return raised  # type: ignore[no-any-return]


@pytest.mark.parametrize("wraps", [0, 1, 2])
def test_the_cause_is_found_below_any_number_of_workers(wraps: int) -> None:
    error: BaseException = GuardError("step 2: past the bound", "guard.action=warn")
    for _ in range(wraps):
        error = _through_ray(error)
    found = cause_of(error)
    assert type(found) is GuardError
    assert (found.message, found.fix) == ("step 2: past the bound", "guard.action=warn")


def test_an_error_of_others_is_not_attributed() -> None:
    assert cause_of(_through_ray(ValueError("shape"))) is None


@pytest.mark.parametrize("error", [GuardError("a", "b"), PlatformError("c"), ValueError("d\ne")])
def test_failure_json_names_the_type(error: Exception, tmp_path: Path) -> None:
    def work(_attempt: Path) -> None:
        raise _through_ray(error)

    code = leave_failure(tmp_path, work)
    said = json.loads((tmp_path / "failure.json").read_text())
    if isinstance(error, TemperError):
        expected = (type(error).__name__, error.message, error.fix, error.exit_code)
        assert (said["type"], said["message"], said["fix"], code) == expected
    else:
        assert (said["type"], said["message"], code) == ("ValueError", "e", 1)


def test_the_first_rank_s_failure_stays(tmp_path: Path) -> None:
    """Under torchrun every rank reports; the later ones only saw the first one go."""

    def fail(text: str) -> None:
        raise PlatformError(text)

    leave_failure(tmp_path, lambda _attempt: fail("first"))
    leave_failure(tmp_path, lambda _attempt: fail("second"))
    assert json.loads((tmp_path / "failure.json").read_text())["message"] == "first"


def test_a_slow_start_of_ray_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray._private import node

    assert ray_session.SLOW_START in Path(node.__file__).read_text()
    calls: list[dict[str, object]] = []

    def init(**options: object) -> None:
        calls.append(options)
        if len(calls) < fine_at:
            raise Exception(f"The current node {ray_session.SLOW_START}. …")

    monkeypatch.setattr(ray, "init", init)
    fine_at = 3
    ray_session._init({"num_cpus": 4})
    assert calls == [{"num_cpus": 4}] * 3
    calls.clear()
    fine_at = 4
    with pytest.raises(Exception, match="timed out"):
        ray_session._init({})
    monkeypatch.setattr(ray, "init", lambda **_: calls.append({}) or 1 / 0)
    calls.clear()
    with pytest.raises(ZeroDivisionError):
        ray_session._init({})
    assert len(calls) == 1
