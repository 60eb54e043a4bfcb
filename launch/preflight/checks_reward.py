"""The reward function: does it load, in a process that is not this one?

In: `Settings` of an RL tree. Out: lines. A user's file may print, sleep, import torch or exit, so
it is loaded by a child with a time limit: ours by `python -m rewards.check`, which also tries it on
a few rows (the reward doctor's short form), any other by verl's own rule (a file, or
`pkg://package.module`, and a name in it). What a reward is worth in full, the doctor says.
"""

from __future__ import annotations

import ast
import difflib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.settings import Settings

NAME = "reward"
CUSTOM = "reward.custom_reward_function"
OUR_ENTRY = "rewards.verl_entry"
OUR_MODULE = "rewards.verl_manager"
OUR_MANAGER = "VerdictManager"
WARNING = "warning: "  # how rewards.check starts the line of an examination that fails
PACKAGE = "pkg://"
FILE = "file://"
MANAGERS = ("naive", "dapo", "gdpo", "rate_limited", "remote")  # that verl's V1 trainer reaches
# Loads what verl will load, and reports one JSON object on the last line of stdout.
SCRIPT = """
import importlib, importlib.util, json, sys
where, name = sys.argv[1:]
try:
    if where.startswith("pkg://"):
        module = importlib.import_module(where[6:].replace("/", "."))
    else:
        spec = importlib.util.spec_from_file_location("custom_reward", where)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    said = {"callable": callable(getattr(module, name, None)),
            "names": [k for k, v in vars(module).items() if callable(v) and k[:1] != "_"]}
except Exception as e:
    frames = []
    tb = e.__traceback__
    while tb:
        frames.append(f"{tb.tb_frame.f_code.co_filename}:{tb.tb_lineno}")
        tb = tb.tb_next
    frames = [f for f in frames if not f.startswith(("<", ))]
    at = f"{e.filename}:{e.lineno}" if isinstance(e, SyntaxError) else (frames or [where])[-1]
    said = {"error": f"{type(e).__name__}: {e} ({at})"}
print("\\n" + json.dumps(said))
"""


def check_reward(settings: Settings, environment: Mapping[str, str], seconds: float) -> list[Line]:
    """Load the reward that the configuration names.

    Args:
        settings: the composed configuration.
        environment: of the child.
        seconds: how long loading may take before it is only warned of.
    """
    if settings.is_sft:
        return []
    lines = _manager(settings)
    path = settings[f"{CUSTOM}.path"]
    if not path:
        lines.append(
            warned(
                NAME,
                f"{CUSTOM}.path is null: verl's built-in scorer chooses by data_source and "
                "stops at one that it does not know",
                "a reward function",
                f"{CUSTOM}.path=pkg://{OUR_ENTRY}",
            )
        )
        return lines
    name = str(settings[f"{CUSTOM}.name"])
    kwargs = settings.optional(f"{CUSTOM}.reward_kwargs") or {}
    where = str(path)
    if where.replace("/", ".").endswith(OUR_ENTRY) and "reward" in kwargs:
        return lines + _ours(settings, kwargs, environment, seconds)
    return lines + _theirs(where, name, environment, seconds)


def _rows(settings: Settings) -> list[str]:
    """The rows to try a reward on: the first training file, where it is there."""
    listed = settings["data.train_files"]
    first = listed if isinstance(listed, str) else next(iter(listed or []), None)
    return ["--rows", str(first)] if first and Path(str(first)).is_file() else []


def _manager(settings: Settings) -> list[Line]:
    node = "reward.reward_manager"
    manager = str(settings[f"{node}.name"])
    if settings[f"{node}.source"] == "register":
        if manager in MANAGERS:
            return []
    elif manager == OUR_MANAGER or not str(settings[f"{node}.module.path"]).endswith(OUR_MODULE):
        return []  # ours, or a module of the user's own
    close = difflib.get_close_matches(manager, MANAGERS, n=1, cutoff=0.3) or ["naive"]
    fix = f"{node}.name={close[0]} {node}.source=register"
    need = f"{OUR_MANAGER}, or with {node}.source=register one of {', '.join(MANAGERS)}"
    return [failed(NAME, f"{node}.name={manager}", need, fix)]


def _ours(
    settings: Settings, kwargs: Mapping[str, Any], environment: Mapping[str, str], seconds: float
) -> list[Line]:
    """A reward of our registry, by its own command."""
    spec = str(kwargs["reward"])
    options = kwargs.get("options") or {}
    words = [f"{key}={json.dumps(value)}" for key, value in options.items()]
    key = "reward_fn.name"
    if settings.optional(key) is None:
        key = f"{CUSTOM}.reward_kwargs.reward"
    command = ["-m", "rewards.check", spec, *_rows(settings), *words]
    done = _run(command, environment, seconds)
    if done is None:
        return [_slow(spec, seconds)]
    if done.returncode == 0:
        said = done.stdout.strip().splitlines() or [spec]
        found = [line.removeprefix(WARNING) for line in said if line.startswith(WARNING)]
        if found:
            return [_doubtful(spec, one) for one in found]
        return [passed(NAME, f"{spec} loads; {said[-1].removeprefix(f'reward {spec}: ')}")]
    error = next(
        (
            line.removeprefix("error: ")
            for line in reversed(done.stderr.splitlines())
            if line.startswith("error: ")
        ),
        _last(done.stderr),
    )
    got, _, fix = error.partition(" → ")
    return [failed(NAME, got, "a reward that loads", *([fix] if fix else []), f"{key}=math")]


def _doubtful(spec: str, said: str) -> Line:
    got, _, need = said.partition("; need: ")
    fix = "python -m rewards.doctor +recipe=… shows the whole"
    return warned(NAME, f"{spec}: {got}", need, fix)


def _theirs(where: str, name: str, environment: Mapping[str, str], seconds: float) -> list[Line]:
    """A function that verl loads by itself."""
    target = where.removeprefix(FILE)
    if not where.startswith(PACKAGE):
        file = Path(target).expanduser()
        if not file.is_file():
            near = _near([p.name for p in file.parent.glob("*.py")], file.name)
            fixes = [f"{CUSTOM}.path={file.parent / other}" for other in near]
            got = f"{where} does not exist"
            return [failed(NAME, got, f"a Python file with {name}()", *fixes)]
        names = _names_in(file)
        if names is not None and name not in names:
            return [_no_such(where, name, names)]
        target = str(file)
    done = _run(["-c", SCRIPT, target, name], environment, seconds)
    if done is None:
        return [_slow(where, seconds)]
    try:
        said = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        got = f"{where} ends the process ({_last(done.stderr) or done.returncode})"
        return [failed(NAME, got, "a module that imports", f"{CUSTOM}.path=…")]
    if "error" in said:
        got = f"{where} does not import: {said['error'][:200]}"
        return [failed(NAME, got, "a module that imports", "mend that line")]
    if not said["callable"]:
        return [_no_such(where, name, said["names"])]
    return [passed(NAME, f"{name} of {where} loads")]


def _no_such(where: str, name: str, names: Sequence[str]) -> Line:
    fixes = [f"{CUSTOM}.name={other}" for other in _near(names, name)]
    has = f"it has {', '.join(names[:6])}" if names else "it has none"
    return failed(NAME, f"{where} has no function {name!r} ({has})", "its name", *fixes)


def _near(names: Sequence[str], name: str) -> list[str]:
    return difflib.get_close_matches(name, names, n=1, cutoff=0.3) or list(names[:1])


def _names_in(file: Path) -> list[str] | None:
    """Public names that a file defines at its top, by parsing; None where that cannot tell."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError):
        return None  # the child says where
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.append(node.name)
        elif not isinstance(node, ast.Import | ast.ClassDef) and not _is_text(node):
            return None  # an assignment or a from-import may define it too, a call may fail
    return names


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _slow(where: str, seconds: float) -> Line:
    return warned(
        NAME,
        f"{where} took longer than {seconds:g} s to load and judge a few rows",
        "a module that imports quickly and verdicts that come quickly: each reward worker does so",
        "import heavy packages inside the function; python -m rewards.doctor measures it",
    )


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:160] if lines else ""


def _run(
    arguments: Sequence[str], environment: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess[str] | None:
    """Run a child Python; None when it takes too long."""
    # From the same places as this process, the folder of the command included.
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    try:
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            env={**environment, "PYTHONPATH": path},
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return None
