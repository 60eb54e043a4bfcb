"""`python -m eval.compare BASE TUNED [MORE…] [control=C] [trained=[gsm8k]] [out=DIR]`.

In: evaluation folders, records files, run folders (one alone: its two models). Out:
`comparison.json`, `flips.jsonl` and `report.html` in `out`, a summary on stdout. It generates and
grades nothing; the work is in `eval.comparison.build`. The files are an interface:

comparison.json
    schema 1 · alpha 0.05 · power 0.8 · seed · resamples
    models    [{label, name, fingerprint, role: base|tuned|control, source, tasks: [name]}];
              the first is the base
    trained   [task] as given by `trained=`, or null: nobody said
    verdict   {state: improved|regressed|mixed|unclear, headline, sentence}: of the first pair;
              mixed also when the gain is not beyond the control arm's
    results   {label: {task: RESULT}}: each model alone over all its judged items; RESULT is a
              task of results.json: {metric, n_items, samples, accuracy, ci95: [low, high], method,
              status: {word: count}, broken, truncation_share, mean_tokens, tokens_per_second|null,
              pass_at_k: {k: {value, ci95}}, maj_at_k: {k: {value, ci95}}, mde: {paired|null,
              unpaired|null, discordance, power}, strata: {name: {n_items, accuracy, ci95}},
              clusters|null, warnings: [text]}
    pairs     [PAIR], the first is base → tuned
    forgetting {label: {rows: [{task, base, tuned, difference, ci95, p_adjusted, verdict,
              detectable, worst_loss}], sentence}}: of each model against the base, the tasks
              that were not trained; worst_loss: the largest loss inside the interval; {} when
              trained is null
    contamination {file, tasks: {task: {found, kept, dropped, items: [id]}}, unmatched} or null: no
              evidence file was given; kept: questions whose training rows stayed in
    cost      {label: {tokens, prompt_tokens, seconds, correct, tokens_per_correct|null,
              tasks: {task: {tokens, prompt_tokens, seconds, mean_tokens}}}}
    warnings  [text] · versions {name: text}
PAIR    {base, other: labels, purpose: change|control|beyond_control|models, tasks: {task: TASK},
         overall: {n_tasks, difference, ci95, method} or null with one task}
TASK    {trained: true|false|null, n, clusters|null, samples: [base, other],
         accuracy: {base, other}, ci95: {base: [l, h], other: [l, h]} (over the n shared items),
         table: {both_right, only_base, only_other, both_wrong} or null with several samples,
         gained, lost: items that flipped (several samples: whose share rose or fell by at least
         half),
         difference, difference_ci95, difference_method, bootstrap_ci95,
         test: mcnemar-exact|sign-flip|sign-flip-sampled, p_value, p_adjusted
         (Benjamini-Hochberg over all tasks of all pairs), level (what p_value must not exceed,
         given the other verdicts),
         verdict: improved|regressed|no detectable change, line (one sentence of numbers),
         detectable|null (smallest true change seen with power 0.8 at `level`), intervals_overlap,
         left_out: {only_base, only_other, broken, changed},
         strata: [{name, n, base, other, difference, ci95, gained, lost}] (one stratum: []),
         clean: {n, left_out, difference, ci95, p_value, verdict} without contaminated items, or
         null, warnings: [text]}
flips.jsonl: {pair: [base, other], task, direction: gained|lost, index, id, stratum, cluster, extra,
         prompt, ground_truth, reward, contaminated: true|false|null, base: SIDE, other: SIDE}
SIDE    {share (of samples right), response, pred, status, detail, finish_reason, tokens}; with
         several samples the first one that shows the model's majority verdict
Accuracies, differences and limits are shares (0.034 is 3.4 points).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from conf.atomic import write_json, write_text, writing
from conf.errors import boundary
from eval.comparison.request import HELP, Request, parse


def compare(request: Request) -> str:
    """Compare, write the files, and return the summary.

    Raises:
        EvaluationError: nothing to compare.
        RunFolderError: the files cannot be written.
    """
    from eval.comparison.build import Options, build  # scipy: only once the words are good
    from eval.comparison.contamination import read_questions
    from eval.comparison.read import read_all
    from eval.comparison.text import summary
    from eval.report import write_comparison

    models = read_all(request.paths, request.control)
    evidence = request.contamination
    options = Options(
        trained=request.trained,
        questions=None if evidence is None else tuple(read_questions(evidence)),
        evidence="" if evidence is None else str(evidence),
        all_pairs=request.pairs == "all",
        seed=request.seed,
        resamples=request.resamples,
    )
    found = build(models, options)
    with writing(request.out):
        request.out.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in found.flips)
    write_text(request.out / "flips.jsonl", "".join(lines))
    write_json(request.out / "comparison.json", found.content)
    write_comparison(request.out)
    return summary(found.content)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, compare, show."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with boundary(debug="--debug" in words):
        words = [word for word in words if word != "--debug"]
        if not words or "-h" in words or "--help" in words:
            print(HELP)
            raise SystemExit(0 if words else 2)
        request = parse(words)
        print(f"{compare(request)}\n→ {request.out}/report.html, comparison.json, flips.jsonl")


if __name__ == "__main__":
    main()
