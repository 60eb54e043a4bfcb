"""The built wheel, installed elsewhere, holds what a user needs and composes from an empty folder.

The wheel is built from the tracked files without network and installed into a venv of its own,
which sees verl and the other libraries of this environment but not the checkout.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

PACKAGES = {"conf", "recipes", "rewards", "data_prep", "launch", "eval"}
pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True)
class Elsewhere:
    """A venv that holds the wheel, and an empty folder to work in."""

    python: Path
    folder: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run this venv's Python in the empty folder."""
        return subprocess.run(
            [str(self.python), *words],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def composed(self, job: str, *words: str) -> DictConfig:
        """What `--cfg job` prints, read back."""
        done = self.run("-m", f"launch.{job}", *words, "--cfg", "job")
        assert done.returncode == 0, done.stderr
        config = OmegaConf.create(done.stdout)
        assert isinstance(config, DictConfig)
        return config


@pytest.fixture(scope="module")
def wheel(repo: Path, tracked: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the tracked files, built in a copy so that nothing stale gets in."""
    source = tmp_path_factory.mktemp("source")
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repo / name, source / name)
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*build, "--no-build-isolation", "-w", out, source], check=True)
    (built,) = out.glob("temper-*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """The wheel in a venv of its own; a line in a .pth file lends it our libraries.

    Python does not run the .pth files of a folder lent like that, so the checkout, which is
    installed editable by one, stays out of sight.
    """
    venv = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python3.*/site-packages")
    lent = Path(sys.prefix, *site.relative_to(venv).parts)
    (site / "lent.pth").write_text(f"{lent}\n")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", site, wheel], check=True)
    return Elsewhere(venv / "bin/python", tmp_path_factory.mktemp("empty"))


def test_wheel_holds_every_shipped_file_and_nothing_else(wheel: Path, tracked: list[Path]) -> None:
    names = {Path(name) for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    ours = {name for name in names if not name.parts[0].endswith(".dist-info")}
    assert {name.parts[0] for name in ours} == PACKAGES
    assert ours == {name for name in tracked if name.parts[0] in PACKAGES}


def test_wheel_declares_license_python_and_the_plugin(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        (points,) = (n for n in archive.namelist() if n.endswith("/entry_points.txt"))
        said = archive.read(metadata).decode()
        plugins = archive.read(points).decode()
    assert "\nLicense-Expression: Apache-2.0\n" in said
    assert "\nRequires-Python: <3.13,>=3.11\n" in said
    assert {"cpu", "gpu", "dev"} == {
        line.split(": ")[1] for line in said.splitlines() if line.startswith("Provides-Extra")
    }
    assert "[verl.plugins]\ntemper_cpu = launch.cpu_platform.plugin" in plugins


def test_what_runs_there_is_the_wheel(elsewhere: Elsewhere) -> None:
    code = (
        "import importlib, json\n"
        f"modules = map(importlib.import_module, {sorted(PACKAGES)})\n"
        "print(json.dumps([path for m in modules for path in m.__path__]))"
    )
    done = elsewhere.run("-c", code)
    assert done.returncode == 0, done.stderr
    found = [Path(path) for path in json.loads(done.stdout)]
    assert [p for p in found if not p.is_relative_to(elsewhere.python.parents[1])] == []


@pytest.mark.parametrize("job", ["grpo", "ppo", "sft"])
def test_shipped_recipe_composes_from_an_empty_folder(elsewhere: Elsewhere, job: str) -> None:
    config = elsewhere.composed(job, "+recipe=arithmetic", "hardware=cpu")
    assert config.job == job
    assert config.run.recipe == "arithmetic"
    assert config.data_prep.source == "arithmetic"
    assert config.hardware.device == "cpu"
    assert config.trainer.total_epochs >= 1  # verl's own tree is there too


def test_a_users_own_recipe_folder_composes(elsewhere: Elsewhere) -> None:
    mine = elsewhere.folder / "recipes" / "mine"
    mine.mkdir(parents=True)
    (mine / "recipe.yaml").write_text(
        "summary: My own.\n"
        "choose: {policy: tiny}\n"
        "shared: {data_prep: {source: arithmetic}}\n"
        "rl: {actor_rollout_ref: {rollout: {n: 3}}}\n"
    )
    for reference in ("mine", str(mine)):
        config = elsewhere.composed("grpo", f"+recipe={reference}", "hardware=cpu")
        assert config.run.recipe == "mine"
        assert config.actor_rollout_ref.rollout.n == 3


def test_an_unknown_recipe_is_one_line_that_names_the_nearest(elsewhere: Elsewhere) -> None:
    done = elsewhere.run("-m", "launch.grpo", "+recipe=arithmetik", "--cfg", "job")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "+recipe=arithmetic" in done.stderr
