"""The comparison of graders: it counts by the labels, outlives a hung peer and names a missing one.

1. A battery's lines become pairs; a line that is none is refused by number.
2. False positives, false negatives and pairs without a verdict are counted by hand-made outcomes.
3. A grader that hangs costs its pair and a new process; the next pair is judged.
4. A grader that cannot be imported is said to be missing, in the table too.
5. The child answers by the protocol whatever the grader prints.
6. The graders beside ours are the oracles, each by its own rule, verl's without torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conf.errors import DataError
from rewards import oracles
from rewards.compare import Outcome, Pair, Tally, main, read_battery, table, tally
from rewards.oracles import ORACLES
from rewards.peers import GRADERS

RIGHT = Pair("a", "#### 42", "42", True)
WRONG = Pair("b", "#### 41", "42", False)
HANGS_ON_41 = """
import json, sys, time
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    pair = json.loads(line)
    if "41" in pair["response"]:
        time.sleep(60)
    print(json.dumps({"right": True, "seconds": 0.25, "said": ""}), flush=True)
"""


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))
    return path


def test_a_battery_is_read_with_the_convention_as_data_source(tmp_path: Path) -> None:
    row = {"id": "x", "response": "Answer: 3", "gold": "3", "convention": "dapo", "label": True}
    (pair,) = read_battery(write(tmp_path / "b.jsonl", row, ""))
    assert pair == Pair("x", "Answer: 3", "3", True, {"data_source": "math_dapo"})


@pytest.mark.parametrize(
    "line", ["{", '{"response": "", "gold": ""}', '{"response": "", "gold": "", "label": 1}', "[]"]
)
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, line: str) -> None:
    good = {"response": "1", "gold": "1", "label": True}
    with pytest.raises(DataError, match=r"b\.jsonl:2 is no labelled pair"):
        read_battery(write(tmp_path / "b.jsonl", good, line))


def test_an_empty_or_absent_battery_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no pair"):
        read_battery(write(tmp_path / "b.jsonl", ""))
    with pytest.raises(DataError, match="no battery"):
        read_battery(tmp_path / "none.jsonl")


def test_verdicts_are_counted_by_the_labels() -> None:
    outcomes = [
        Outcome(RIGHT, True, 0.001),
        Outcome(RIGHT, False, 0.002),
        Outcome(RIGHT, None, 0.003),
        Outcome(WRONG, True, 0.004),
        Outcome(WRONG, False, 0.005),
        Outcome(WRONG, None, 0.985),
    ]
    one = Tally("x", outcomes)
    assert one.false_positives() == outcomes[3:4]
    assert one.false_negatives() == outcomes[1:3]
    assert one.no_verdicts() == [outcomes[2], outcomes[5]]
    assert one.per_second() == pytest.approx(6.0)
    assert one.quantile_ms(0.5) == pytest.approx(3.0)
    assert one.quantile_ms(0.99) == pytest.approx(985.0)


def test_a_hung_grader_costs_its_pair_only(tmp_path: Path) -> None:
    program = write(tmp_path / "peer.py", HANGS_ON_41)
    one = tally("x", [WRONG, RIGHT], 3.0, [sys.executable, str(program)])
    assert [o.right for o in one.outcomes] == [None, True]
    assert [o.seconds for o in one.outcomes] == [3.0, 0.25]


def test_a_missing_grader_is_said_to_be_so(tmp_path: Path) -> None:
    program = write(tmp_path / "peer.py", 'print(\'{"missing": "no module named x"}\')')
    one = tally("x", [RIGHT], 5.0, [sys.executable, str(program)])
    assert one.missing == "no module named x"
    assert "not run: no module named x" in list(table([one]))[1]


def test_the_child_says_what_it_cannot_import_and_keeps_prints_apart() -> None:
    code = (
        "import sys\nfrom rewards import peers\n"
        "def absent(): raise ImportError('no x')\n"
        "def loud():\n"
        "    def grade(response, gold, row):\n"
        "        print('noise')\n"
        "        return response == gold if gold else 1 / 0\n"
        "    return grade\n"
        "peers.GRADERS = {'absent': absent, 'loud': loud}\n"
        "peers.main([sys.argv[1]])\n"
    )
    asked = "".join(
        json.dumps({"response": "1", "gold": gold, "row": {}}) + "\n" for gold in ("1", "2", "")
    )

    def said(name: str) -> list[dict[str, object]]:
        done = subprocess.run(
            [sys.executable, "-c", code, name],
            cwd=Path(__file__).parents[3],
            input=asked,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert said("absent") == [{"missing": "no x"}]
    hello, *answers = said("loud")
    assert hello == {"ready": True}
    assert [a["right"] for a in answers] == [True, False, None]
    assert "ZeroDivisionError" in str(answers[2]["said"])


@pytest.mark.parametrize(
    ("name", "right"),
    [("verl_gsm8k", [True, False, False]), ("verl_gsm8k_flexible", [True, True, False])],
)
def test_an_oracle_answers_by_the_protocol_without_torch(name: str, right: list[bool]) -> None:
    code = (
        "import sys\nfrom rewards import peers\n"
        "peers.main([sys.argv[1]])\nsys.exit('torch' in sys.modules)\n"
    )
    responses = ("#### 42", "It is 42 km", "#### 41")
    done = subprocess.run(
        [sys.executable, "-c", code, name],
        cwd=Path(__file__).parents[3],
        input="".join(
            json.dumps({"response": r, "gold": "42", "row": {}}) + "\n" for r in responses
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    hello, *answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert hello == {"ready": True}
    assert [one["right"] for one in answers] == right


def test_the_graders_beside_ours_are_the_oracles() -> None:
    assert list(GRADERS) == ["math", *ORACLES]
    assert all(callable(getattr(oracles, name)) for name in ORACLES)


def test_the_command_prints_our_line_and_lists_what_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mislabelled = {"id": "odd", "response": "#### 41", "gold": "42", "label": True}
    rows = [{"id": "even", "response": "#### 42", "gold": "42", "label": True}, mislabelled]
    main([str(write(tmp_path / "b.jsonl", *rows)), "--graders", "math", "--show", "math"])
    out = capsys.readouterr().out
    head, _, ours, *shown = out.splitlines()
    assert head == "2 pairs, 2 right and 0 wrong answers"
    assert ours.split()[:5] == ["math", "2", "0", "1", "0"]
    assert len(shown) == 1
    assert shown[0].startswith("math false negative odd: gold '42'")


def test_an_unknown_grader_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"response": "1", "gold": "1", "label": True}
    with pytest.raises(SystemExit) as stopped:
        main([str(write(tmp_path / "b.jsonl", row)), "--graders", "maths"])
    assert stopped.value.code == 4
    assert "no grader 'maths'" in capsys.readouterr().err
