"""The upload: complete, importable on its own, found by verl's plugin search, without the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conf.errors import ConfigError
from launch.jobs import package as packing
from launch.jobs.package import fingerprint_of, stage

ASK = """
import importlib.metadata as m, json, launch, launch.jobs.package as p, recipes
entries = [(e.name, e.value) for e in m.entry_points(group="verl.plugins")]
print(json.dumps({"launch": list(launch.__path__), "version": m.version("temper"),
                  "plugins": entries, "stamp": p.uploaded_version()}))
"""


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


def test_a_worker_without_temper_finds_code_metadata_and_plugin(upload: Path) -> None:
    package = stage(upload, recipes=())
    # -S: no site-packages, so whatever is found comes from the upload.
    done = subprocess.run(
        [sys.executable, "-S", "-c", ASK],
        env={"PYTHONPATH": str(upload), "PATH": os.environ["PATH"]},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["launch"] == [str(upload / "launch")]
    assert said["version"] == package.version
    assert said["plugins"] == [["temper_cpu", "launch.cpu_platform.plugin"]]
    assert said["stamp"] == {"version": package.version, "fingerprint": package.fingerprint}


def test_outside_an_upload_there_is_no_stamp() -> None:
    assert packing.uploaded() is None
    assert packing.uploaded_version() is None


def test_caches_hidden_files_and_runs_stay_at_home(upload: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    for name in (".env", "__pycache__/a.pyc", "runs/r/log", "data/big", "pkg/mod.py", "pkg/.key"):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text("planted")
    stage(upload, recipes=(), working_dir=mine)
    names = {str(path.relative_to(upload)) for path in upload.rglob("*")}
    assert "pkg/mod.py" in names
    assert {"conf/rl/grpo.yaml", "recipes/arithmetic/recipe.yaml", "launch/grpo.py"} <= names
    assert not [n for n in names if "__pycache__" in n or "/." in f"/{n}"]
    assert not names & {"runs", "data", "tests", ".venv"}


def test_the_users_recipe_wins_over_a_shipped_one_of_its_name(upload: Path, tmp_path: Path) -> None:
    own = tmp_path / "arithmetic"
    own.mkdir()
    (own / "recipe.yaml").write_text("summary: mine\n")
    stage(upload, recipes=[own])
    copied = upload / "recipes" / "arithmetic"
    assert (copied / "recipe.yaml").read_text() == "summary: mine\n"


def test_the_fingerprint_follows_every_byte_and_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = fingerprint_of(tmp_path, ["a"])
    (tmp_path / "outputs").write_text("a job's own file is not counted")
    assert fingerprint_of(tmp_path, ["a"]) == first
    (tmp_path / "a").rename(tmp_path / "b")
    lost, renamed = fingerprint_of(tmp_path, ["a"]), fingerprint_of(tmp_path, ["b"])
    (tmp_path / "b").write_text("2")
    assert len({first, lost, renamed, fingerprint_of(tmp_path, ["b"])}) == 4


def test_a_folder_that_would_hide_our_packages_is_refused(upload: Path, tmp_path: Path) -> None:
    (tmp_path / "mine" / "conf").mkdir(parents=True)
    with pytest.raises(ConfigError, match="holds conf, which would hide"):
        stage(upload, recipes=(), working_dir=tmp_path / "mine")


def test_too_large_an_upload_is_refused(
    upload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "LIMIT_BYTES", 1000)
    with pytest.raises(ConfigError, match="limit"):
        stage(upload, recipes=())
