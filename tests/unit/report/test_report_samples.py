"""Samples: chosen by a rule, paired by prompt, cut without hiding that they are."""

from eval.training.samples import HEAD_CHARS, TAIL_CHARS, compare, excerpt, flat_share, read_samples


def test_changes_are_counted_over_all_problems_and_some_of_each_shown(tmp_path, folders):
    def records(step, rights):
        return [
            folders.sample(step, i, f"r{i}", "g", right, acc=float(right), status="s")
            for i, right in enumerate(rights)
        ]

    folders.write_lines(tmp_path / "0.jsonl", records(0, [0, 0, 0, 0, 1, 1, 0, 0, 0, 1]))
    folders.write_lines(tmp_path / "9.jsonl", records(9, [1, 1, 1, 1, 0, 1, 0, 0, 0, 1]))
    found = compare(tmp_path, 6)
    assert dict(found.changes) == {
        "wrong, then right": 4,
        "right, then wrong": 1,
        "wrong both times": 3,
        "right both times": 2,
    }
    assert found.compared == 10
    assert [pair.kind for pair in found.pairs] == [
        *["wrong, then right"] * 2,
        "right, then wrong",
        *["wrong both times"] * 2,
        "right both times",
    ]
    assert all(pair.same for pair in found.pairs)


def test_steps_without_a_common_prompt_stand_side_by_side(run):
    found = compare(run / "rollouts", 4)
    assert (found.early_step, found.late_step, found.compared) == (1, 50, 0)
    assert len(found.pairs) == 4
    assert not any(pair.same for pair in found.pairs)
    assert {pair.early.status for pair in found.pairs} == {None}
    assert len({pair.early.prompt for pair in found.pairs}) == 4


def test_nothing_dumped_is_nothing_shown(tmp_path):
    assert compare(tmp_path / "absent", 4) is None
    (tmp_path / "1.jsonl").write_text("half a li")
    assert compare(tmp_path, 4) is None


def test_one_dump_alone(tmp_path, folders):
    folders.write_lines(tmp_path / "5.jsonl", folders.validation(5, 20, 0.5))
    found = compare(tmp_path, 4)
    assert (found.early_step, found.late_step, found.changes) == (5, 5, ())
    assert len(found.pairs) == 4


def test_groups_without_a_signal_by_hand(tmp_path, folders):
    scores = {"a": [1, 1, 1], "b": [0, 1, 0], "c": [0, 0], "alone": [1]}
    records = [
        folders.sample(1, 0, "r", "g", bool(s)) | {"uid": f"{uid}_{k}_0"}
        for uid, values in scores.items()
        for k, s in enumerate(values)
    ]
    folders.write_lines(tmp_path / "1.jsonl", records)
    assert flat_share(read_samples(tmp_path / "1.jsonl")) == 2 / 3


def test_odd_records_are_shown_as_they_are(tmp_path, folders):
    record = {"input": [{"role": "user"}], "output": None, "gts": 7, "score": "high", "step": 1}
    folders.write_lines(tmp_path / "1.jsonl", [record])
    (sample,) = read_samples(tmp_path / "1.jsonl")
    assert (sample.prompt, sample.response, sample.gold) == ('[{"role": "user"}]', "null", "7")
    assert sample.score is None
    assert sample.where == f"{tmp_path.name}/1.jsonl, line 1"


def test_a_long_response_is_cut_and_says_by_how_much():
    cut = excerpt("x" * 100_000, "rollouts/1.jsonl, line 3")
    assert len(cut.head) == HEAD_CHARS
    assert len(cut.rest) == cut.rest_chars == TAIL_CHARS
    assert cut.hidden_chars == 100_000 - HEAD_CHARS - TAIL_CHARS


def test_many_lines_fold_and_little_more_does_not():
    folded = excerpt("y\n" * 300, "f")
    assert folded.head.count("\n") == 10
    assert folded.hidden_chars == 0
    assert folded.rest_chars == 580
    assert excerpt("z" * (HEAD_CHARS + 20), "f").rest is None
    assert excerpt("", "f").head == ""
