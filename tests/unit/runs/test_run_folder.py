"""Run folders: created whole or not at all, never overwritten, three ways on, one trainer."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conf.errors import ConfigError, RunFolderError
from conf.runs import RunFolder

ROOT = Path(__file__).resolve().parents[3]
CONFIG = {
    "job": "grpo",
    "run": {"root": "runs", "seed": 1},
    "actor": {"optim": {"lr": 1e-6, "betas": [0.9, 0.999]}, "name": "a b", "path": None},
    "trainer": {"total_training_steps": 10, "logger": ["console"], "save_freq": 5},
}


def prepare(root: Path, config: dict | None = None, name: str = "n", **documents) -> RunFolder:
    config = CONFIG if config is None else config
    return RunFolder.prepare(root, "r", name, config, redact=lambda tree: tree, **documents)


def changed(**values) -> dict:
    """CONFIG with some dotted keys (`__` for the dot) set."""
    node = OmegaConf.create(CONFIG)
    for key, value in values.items():
        OmegaConf.update(node, key.replace("__", "."), value, force_add=True)
    return OmegaConf.to_container(node)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_created_whole(tmp_path):
    run = prepare(tmp_path, plan={"steps": 10}, environment={"torch": "2"}, preflight={"ok": True})
    assert run.path == tmp_path / "r" / "n"
    assert not run.resumed
    assert OmegaConf.to_container(OmegaConf.load(run.config_file)) == CONFIG
    assert json.loads(run.plan_file.read_text()) == {"steps": 10}
    assert not [name for name in files(tmp_path) if ".tmp" in name]


def test_same_configuration_resumes_and_overwrites_nothing(tmp_path):
    prepare(tmp_path, plan={"steps": 10})
    before = (tmp_path / "r/n/config.yaml").stat().st_mtime_ns
    run = prepare(tmp_path, plan={"steps": 11})
    assert run.resumed
    assert run.config_file.stat().st_mtime_ns == before
    assert json.loads(run.plan_file.read_text()) == {"steps": 10}


def test_interpolations_are_resolved(tmp_path):
    config = OmegaConf.create({"job": "sft", "a": {"b": 3}, "c": "${a.b}"})
    run = RunFolder.prepare(tmp_path, "r", "n", config, redact=lambda tree: tree)
    assert OmegaConf.load(run.config_file).c == 3
    with pytest.raises(ConfigError, match="does not resolve"):
        prepare(tmp_path, {"a": "${nowhere}"}, name="m")


def test_another_configuration_has_three_ways_on(tmp_path):
    prepare(tmp_path)
    before = files(tmp_path)
    with pytest.raises(RunFolderError) as caught:
        prepare(tmp_path, changed(actor__optim__lr=1e-5, run__seed=2, extra=1, actor__name="c"))
    text = str(caught.value)
    assert "\n" not in text
    assert 'actor.name "a b" → "c"' in text
    assert "actor.optim.lr 1e-06 → 1e-05" in text
    assert "extra (not set) → 1" in text
    assert "and 1 more" in text
    assert "run.name=n-2" in text
    assert f"rm -r {tmp_path / 'r' / 'n'}" in text
    assert files(tmp_path) == before
    prepare(tmp_path, {}, name="n-2")
    with pytest.raises(RunFolderError, match=re.escape("run.name=n-3")):
        prepare(tmp_path, changed(run__seed=2))


def test_the_overrides_named_bring_the_old_configuration_back(tmp_path):
    """They go through a shell and Hydra's own parser and override, and then the run resumes."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.override_parser.overrides_parser import OverridesParser

    config = changed(odd="it's, [x]=1", number="17", flag="true")
    prepare(tmp_path, config)
    new = changed(
        actor__optim__lr=0.5, actor__optim__betas=[1], odd="y", number="18", flag="x", extra=1
    )
    del new["actor"]["path"]
    with pytest.raises(RunFolderError) as caught:
        prepare(tmp_path, new)
    back = caught.value.fix.split("resumes that run: ")[1].split("; (3)")[0]
    words = [word for word in shlex.split(back) if not word.startswith("(")]
    # Seven keys differ; the first six are spelt out, config.yaml is named for the rest.
    assert "config.yaml" in back
    node = OmegaConf.create(new)
    ConfigLoaderImpl._apply_overrides_to_config(
        OverridesParser.create().parse_overrides(words[:6]), node
    )
    node.odd = config["odd"]
    assert prepare(tmp_path, OmegaConf.to_container(node)).resumed


@pytest.mark.parametrize(
    "values",
    [
        {"trainer__total_training_steps": 20},
        {"trainer__logger": ["file"]},
        {"trainer__save_freq": 1},
        {"run__root": "/elsewhere"},
        {"preflight": {"enable": False}},
        {"guard": {"action": "warn"}},
    ],
)
def test_what_is_no_difference(tmp_path, values):
    prepare(tmp_path, changed(preflight={"enable": True}, guard={"action": "stop"}))
    config = OmegaConf.merge(
        changed(preflight={"enable": True}, guard={"action": "stop"}), changed(**values)
    )
    assert prepare(tmp_path, OmegaConf.to_container(config)).resumed


def test_steps_may_grow_but_not_shrink_below_the_newest_attempt(tmp_path):
    prepare(tmp_path).new_attempt(from_step=0)
    prepare(tmp_path, changed(trainer__total_training_steps=20)).new_attempt(from_step=10)
    with pytest.raises(RunFolderError, match="total_training_steps 20 → 10"):
        prepare(tmp_path)


def test_the_configuration_is_redacted_before_it_is_written_or_compared(tmp_path):
    def redact(tree):
        return {key: "***" if key == "token" else value for key, value in tree.items()}

    RunFolder.prepare(tmp_path, "r", "n", {"token": "old-secret"}, redact=redact)
    run = RunFolder.prepare(tmp_path, "r", "n", {"token": "new-secret"}, redact=redact)
    assert run.resumed
    assert "secret" not in run.config_file.read_text()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-rf", "a b"])
def test_names_that_are_no_folder(tmp_path, name):
    with pytest.raises(ConfigError, match=r"run\.name"):
        prepare(tmp_path, name=name)
    assert files(tmp_path) == []


def test_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "r/n").mkdir(parents=True)
    assert not prepare(tmp_path).resumed  # an empty one is taken
    (tmp_path / "r/m").mkdir()
    (tmp_path / "r/m/thesis.tex").write_text("x")
    with pytest.raises(RunFolderError, match="not a run folder"):
        prepare(tmp_path, name="m")
    assert files(tmp_path / "r/m") == ["thesis.tex"]


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="cannot write"):
        prepare(tmp_path / "file")


def test_attempts_are_numbered_and_latest_points_at_the_newest(tmp_path):
    run = prepare(tmp_path)
    assert run.attempts() == []
    for number, start in ((1, 0), (2, 4)):
        attempt = run.new_attempt(from_step=start)
        assert attempt.number == number
        assert os.readlink(run.latest) == f"attempts/000{number}"
        assert json.loads((run.latest / "start.json").read_text()) == {"from_step": start}
    assert [attempt.number for attempt in RunFolder.open(run.path).attempts()] == [1, 2]


def _hold(root: str, ready, leave) -> None:
    with RunFolder.prepare(root, "r", "n", CONFIG, redact=lambda tree: tree).lock():
        ready.set()
        leave.wait(20)


def test_lock_names_its_holder_and_dies_with_it(tmp_path):
    run = prepare(tmp_path)
    context = multiprocessing.get_context("fork")
    ready, leave = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(tmp_path), ready, leave))
    holder.start()
    try:
        assert ready.wait(20)
        with pytest.raises(RunFolderError, match=f"in use by process {holder.pid} "), run.lock():
            pass
    finally:
        holder.kill()
        holder.join()
    with run.lock(), pytest.raises(RunFolderError, match=f"process {os.getpid()} "), run.lock():
        pass
    with run.lock():
        pass


def _create(root: str, barrier, results) -> None:
    barrier.wait()
    run = RunFolder.prepare(root, "r", "n", CONFIG, redact=lambda tree: tree)
    results.put(run.resumed)


def test_two_processes_create_one_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(3), context.Queue()
    started = [
        context.Process(target=_create, args=(str(tmp_path), barrier, results)) for _ in range(3)
    ]
    for process in started:
        process.start()
    outcome = sorted(results.get(timeout=20) for _ in started)
    for process in started:
        process.join()
    assert outcome == [False, True, True]
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["n"]


FULL_DISK = """
import os, sys
from pathlib import Path
from conf.errors import RunFolderError
from conf.runs import RunFolder
from launch.redact import Redactor
from launch.supervise import run_attempt
root = Path(sys.argv[1])

def fill():
    with open(root / "ballast", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            pass

def refused(what):
    try:
        what()
    except RunFolderError as error:
        print("refused:", error)
    else:
        print("accepted")
    print(sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()))

def prepare():
    return RunFolder.prepare(root, "r", "n", {"a": "b" * 100}, redact=lambda tree: tree)

def attempt(script):
    command = [sys.executable, "-I", "-S", "-c", script]
    return run_attempt(command, attempt=started, env=os.environ, redactor=Redactor({}))

fill()
refused(prepare)
os.unlink(root / "ballast")
run = prepare()
fill()
refused(lambda: run.new_attempt(from_step=0))
os.unlink(root / "ballast")
started = run.new_attempt(from_step=0)
fill()
refused(lambda: attempt("pass"))
os.unlink(root / "ballast")
refused(lambda: attempt("for i in range(3000): print('x' * 500)"))
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1)")
def test_full_disk(tmp_path):
    """On a real file system of 64 KiB, in a mount namespace of its own."""
    mount = f"mount -t tmpfs -o size=64k none {tmp_path}"
    probe = subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no mount namespace here: {probe.stderr.strip()}")
    script = shlex.join([sys.executable, "-c", FULL_DISK, str(tmp_path)])
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"{mount} && exec {script}"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 8
    assert all("refused: disk full" in line and "run.root=" in line for line in lines[0::2])
    assert lines[1] == "['ballast']"
    assert lines[3] == "['ballast', 'r/n/config.yaml']"
    assert "pid.json" not in lines[5]
    assert "exit.json" not in lines[7]


def policy(path, warm_start, **more):
    """A run's configuration: verl's keys repeat the starting model's path."""
    repeated = {"model": {"path": path}, "served": path}
    return {"policy": {"path": path, "warm_start": warm_start}, **repeated, **more}


def way_back_of(error):
    return error.value.fix.split("resumes that run: ")[1].split("; (3)")[0]


def test_keys_that_repeat_the_starting_model_are_not_named(tmp_path):
    prepare(tmp_path, policy("/old", None, other="/old"))
    with pytest.raises(RunFolderError) as caught:
        prepare(tmp_path, policy("/new", None, other="/else"))
    assert way_back_of(caught) == "other=/old policy.path=/old"
    assert "served" not in str(caught.value) and "model.path" not in str(caught.value)


def test_the_way_back_to_a_warm_started_run_names_the_warm_start_s_own_model(tmp_path):
    """Its configuration holds the warm start's checkpoint, from which no warm start begins."""
    prepare(tmp_path, policy("/tiny", None), name="sft")
    checkpoint = str(tmp_path / "r/sft/checkpoints/global_step_120/huggingface")
    prepare(tmp_path, policy(checkpoint, "sft"))
    with pytest.raises(RunFolderError) as caught:
        prepare(tmp_path, policy("/new", None))
    assert way_back_of(caught) == "policy.path=/tiny policy.warm_start=sft"


def test_a_warm_start_that_is_gone_is_not_made_up(tmp_path):
    prepare(tmp_path, policy(str(tmp_path / "gone/checkpoints/global_step_1/huggingface"), "sft"))
    with pytest.raises(RunFolderError) as caught:
        prepare(tmp_path, policy("/new", None))
    assert "policy.path=" in way_back_of(caught)
