"""Failures planted into real data, graded by the real graders: the class of each is known.

Sources: GSM8K and MATH solutions, HumanEval programs, GPT-4's IFEval responses, HH-RLHF's chosen
answers. Each builder takes a right response and breaks it in one way. Nothing here is random but by
a seed.
"""

import gzip
import json
import random
import re
from functools import cache
from pathlib import Path

from eval.items import Item
from eval.score import grade
from rewards.registry import load_correctness

DATA = Path(__file__).parents[4] / "shared" / "data"
LIMIT = 512
# The rules were written looking at the first 600 and 150 rows; these were not looked at.
GSM8K_START, MATH_START = 600, 150


def there() -> bool:
    return (DATA / "gsm8k" / "test.jsonl").is_file()


def _lines(name: str) -> list[dict]:
    content = (DATA / name).read_bytes()
    text = gzip.decompress(content) if name.endswith(".gz") else content
    return [json.loads(line) for line in text.decode().split("\n") if line.strip()]


@cache
def gsm8k() -> list[dict]:
    """Question, working without calculator marks and without the last line, gold."""
    rows = []
    for row in _lines("gsm8k/test.jsonl")[GSM8K_START:]:
        working, _, gold = re.sub(r"<<[^<>]*>>", "", row["answer"]).partition("\n#### ")
        rows.append({"prompt": row["question"], "working": working, "gold": gold.strip()})
    return rows


@cache
def math() -> list[dict]:
    rows = []
    for row in _lines("math/math500.jsonl")[MATH_START:]:
        rows.append({"prompt": row["problem"], "working": row["solution"], "gold": row["answer"],
                     "extra": {"level": row["level"], "subject": row["subject"]}})  # fmt: skip
    return rows


@cache
def humaneval() -> list[dict]:
    return _lines("humaneval/HumanEval.jsonl.gz")


@cache
def ifeval() -> list[dict]:
    """Prompts with GPT-4's responses."""
    answers = {row["key"]: row for row in _lines("ifeval_responses/gpt4_20231107.jsonl.gz")}
    rows = [row for row in _lines("ifeval/input_data.jsonl") if row["key"] in answers]
    return [{**row, "response": answers[row["key"]]["response"]} for row in rows]


@cache
def _reward(name: str):
    return load_correctness(name)


def _item(index, prompt, gold, source):
    chat = [{"role": "user", "content": prompt}]
    return Item(index, f"{source}/{index}", chat, gold, source, {}, source)


def record(index, prompt, gold, response, *, task="gsm8k", reward="math", finish="stop", **more):
    """A record as an evaluation writes it, graded."""
    verdict = grade(_item(index, prompt, gold, task), response, _reward(reward))
    tokens = min(LIMIT, max(1, len(response) // 4))
    return {
        "key": f"{task}-{index}",
        "task": task,
        "label": "model",
        "index": index,
        "id": f"{task}/{index}",
        "sample": 0,
        "data_source": task,
        "prompt": [{"role": "user", "content": prompt}],
        "ground_truth": gold,
        "response": response,
        "tokens": LIMIT if finish == "length" else tokens,
        "prompt_tokens": len(prompt) // 4,
        "finish_reason": finish,
        "seconds": 0.02,
        "sampling": {"temperature": 0.0, "max_tokens": LIMIT},
        "reward": {"name": reward},
        "verdict": verdict,
        "extra": more,
    }


def right(n: int = 60) -> list[dict]:
    found = [record(i, r["prompt"], r["gold"], f"{r['working']}\n#### {r['gold']}")
             for i, r in enumerate(gsm8k()[:n])]  # fmt: skip
    found += [record(i, r["prompt"], r["gold"], r["working"], task="math500", **r["extra"])
              for i, r in enumerate(math()[:n])]  # fmt: skip
    return found


def truncated(n: int = 40) -> list[dict]:
    draw = random.Random(1)
    found = []
    for task, rows in (("gsm8k", gsm8k()), ("math500", math())):
        for i, row in enumerate(rows[:n]):
            words = row["working"].split(" ")
            part = " ".join(words[: max(2, int(len(words) * draw.uniform(0.3, 0.8)))])
            found.append(record(i, row["prompt"], row["gold"], part, task=task, finish="length"))
    return [one for one in found if one["verdict"]["status"] != "correct"]  # already answered


def no_answer(n: int = 40) -> list[dict]:
    """The first half of the working, ended by the model itself."""
    found = []
    for i, row in enumerate(gsm8k()[: 3 * n]):
        lines = row["working"].split("\n")
        text = "\n".join(lines[: len(lines) // 2])
        if len(lines) >= 3 and len(found) < n and row["gold"] not in text:
            found.append(record(i, row["prompt"], row["gold"], text))
    for i, row in enumerate(math()):
        parts = re.split(r"(?<=\.)\s+(?=[A-Z])", row["working"])
        if len(parts) >= 4 and "boxed" not in parts[0] + parts[1] and len(found) < 2 * n:
            text = " ".join(parts[:2])
            if row["gold"] in text:
                continue
            found.append(record(i, row["prompt"], row["gold"], text, task="math500"))
    for i, row in enumerate(humaneval()[:10]):
        text = f"The function {row['entry_point']} should look at each element and compare them."
        gold = {"entry_point": row["entry_point"], "test": row["test"]}
        found.append(record(i, row["prompt"], gold, text, task="humaneval", reward="code"))
    return found


def wrong_format(n: int = 40) -> list[dict]:
    """The right answer without its mark; programs without a fence; forms that were not kept."""
    found = []
    for i, row in enumerate(gsm8k()[:n]):
        text = f"{row['working']}\nSo it is {row['gold']} in total."
        found.append(record(i, row["prompt"], row["gold"], text))
    for i, row in enumerate(math()[: 2 * n]):
        bare = row["working"].replace(f"\\boxed{{{row['gold']}}}", row["gold"])
        if "boxed" not in bare and row["gold"] in bare[-120:]:
            found.append(record(i, row["prompt"], row["gold"], bare, task="math500"))
    for i, row in enumerate(humaneval()[:n]):
        gold = {"entry_point": row["entry_point"], "test": row["test"]}
        text = row["prompt"] + row["canonical_solution"]
        found.append(record(i, row["prompt"], gold, text, task="humaneval", reward="code"))
    found = [one for one in found if one["verdict"]["status"] != "correct"]
    for i, row in enumerate(ifeval()):
        names = row["instruction_id_list"]
        if names == ["punctuation:no_comma"] and "," not in row["response"]:
            text = row["response"].replace(" and ", ", and ", 1)
            if text != row["response"]:
                found.append(_ifeval(i, row, text))
    return found


def _ifeval(i, row, text, **more):
    gold = json.dumps({k: row[k] for k in ("instruction_id_list", "kwargs")})
    return record(i, row["prompt"], gold, text, task="ifeval", reward="ifeval", **more)


def wrong_answer(n: int = 40) -> list[dict]:
    """The answer of another problem; instructions on content that were not followed."""
    found = []
    for task, rows in (("gsm8k", gsm8k()), ("math500", math())):
        for i, row in enumerate(rows[:n]):
            other = rows[i + 1]["gold"]
            body = re.sub(r"\\boxed\{.*\}", "", row["working"], flags=re.DOTALL)
            text = f"{body}\nThe final answer is \\boxed{{{other}}}."
            found.append(record(i, row["prompt"], row["gold"], text, task=task))
    found = [one for one in found if one["verdict"]["status"] != "correct"]
    for i, row in enumerate(ifeval()):
        if row["instruction_id_list"] == ["length_constraints:number_words"]:
            relation = row["kwargs"][0]["relation"]
            text = "A short note." if relation == "at least" else f"{row['response']}\n" * 2
            made = _ifeval(i, row, text)
            if made["verdict"]["status"] == "wrong" and len(found) < 3 * n:
                found.append(made)
    return found


def slips(n: int = 60) -> list[dict]:
    """One stated result changed, and the answer with it."""
    draw = random.Random(2)
    found = []
    for i, row in enumerate(gsm8k()):
        sums = list(re.finditer(r"\d\s*[-+*/]\s*\d+\s*=\s*\$?(\d+)\b(?![.,]\d)", row["working"]))
        if not sums or len(found) == n:
            continue
        last = sums[-1]
        new = str(int(last[1]) + draw.choice((-3, -2, 2, 3, 7)))
        text = row["working"][: last.start(1)] + new + row["working"][last.end(1) :]
        wrong = str(int(re.sub(r"\D", "", row["gold"])) + 3)
        made = record(i, row["prompt"], row["gold"], f"{text}\n#### {wrong}")
        found += [made] if made["verdict"]["status"] == "wrong" else []
    return found


def logic(n: int = 60) -> list[dict]:
    """A step left out: the working holds, and it ends too early."""
    found = []
    for i, row in enumerate(gsm8k()):
        lines = row["working"].split("\n")
        result = re.search(r"=\s*\$?(\d+)\b(?![.,]\d)[^=]*$", lines[-2]) if len(lines) > 2 else None
        if result and result[1] != row["gold"] and len(found) < n:
            text = "\n".join(lines[:-1]) + f"\n#### {result[1]}"
            found.append(record(i, row["prompt"], row["gold"], text))
    return found


def verifier_failed(n: int = 40) -> list[dict]:
    return [record(i, r["prompt"], "", f"{r['working']}\n#### {r['gold']}")
            for i, r in enumerate(gsm8k()[:n])]  # fmt: skip


REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I cannot assist with this request.",
    "I can\u2019t provide an answer to this question.",
    "As an AI language model, I am not able to solve problems that involve money.",
    "Sorry, but I won't answer that. Please ask something else.",
    "I apologize, but I cannot fulfill this request.",
    "Unfortunately, I am unable to help you with homework.",
    "I must decline to answer this question.",
    "I'm not able to assist with that request, as it may be harmful.",
    "I do not feel comfortable answering this. I can't help with it.",
)


def refusal(n: int = 40) -> list[dict]:
    found = [record(i, r["prompt"], r["gold"], REFUSALS[i % len(REFUSALS)])
             for i, r in enumerate(gsm8k()[:n])]  # fmt: skip
    for i, row in enumerate(_lines("preferences/hh_rlhf/harmless-base/test.jsonl.gz")):
        asked, _, text = row["chosen"].rpartition("\n\nAssistant:")
        plain = re.match(
            r" ?(?:I.m |I'm )?[Ss]orry,? (?:but )?I (?:can.?t|cannot|won.?t) \w+", text
        )
        if plain and len(found) < 2 * n:
            found.append(record(i, asked[-400:], "42", text.strip(), task="safety"))
    return found


def repetition(n: int = 40) -> list[dict]:
    """Working that runs into a loop of one of its lines, or of all of it, up to the limit."""
    draw = random.Random(3)
    found = []
    for i, row in enumerate(gsm8k()[:n]):
        lines = [line for line in row["working"].split("\n") if len(line) > 10]
        unit = draw.choice(lines) if i % 3 else row["working"]
        text = "\n".join(lines[:1]) + "\n" + f"{unit}\n" * (2400 // len(unit) + 4)
        cut = text[: len(text) - draw.randrange(1, len(unit))]
        found.append(record(i, row["prompt"], row["gold"], cut, finish="length"))
    for i, row in enumerate(math()[:n]):
        unit = draw.choice(row["working"].split())
        text = row["working"][:80] + f" {unit}" * max(150, 1200 // len(unit))
        made = record(i, row["prompt"], row["gold"], text, task="math500", finish="length")
        found += [made] if made["verdict"]["status"] != "correct" else []
    return found


FOREIGN = (
    "Primero calculamos la cantidad total que se necesita: {sum}. Después hay que restar lo que ya "
    "se ha usado durante la semana, y por eso la respuesta final es {wrong}.\n#### {wrong}",
    "D'abord nous calculons la quantité totale dont elle a besoin : {sum}. Ensuite il faut enlever "
    "ce qui a déjà été utilisé pendant la semaine, donc la réponse est {wrong}.\n#### {wrong}",
    "Zuerst berechnen wir die gesamte Menge, die gebraucht wird: {sum}. Danach ziehen wir ab, was "
    "in der Woche schon verbraucht wurde, also ist das Ergebnis {wrong}.\n#### {wrong}",
    "首先我们计算一共需要多少:{sum}。然后减去这个星期已经用掉的数量,所以最后的答案是 "
    "{wrong}。\n#### {wrong}",
    "Сначала найдём общее количество, которое ей нужно: {sum}. Затем вычтем то, что уже было "
    "использовано за неделю, поэтому ответ равен {wrong}.\n#### {wrong}",
    "まず全部でいくつ必要かを計算します。{sum}。次に今週すでに使った分を引くので、答えは "
    "{wrong} です。\n#### {wrong}",
)


def wrong_language(n: int = 60) -> list[dict]:
    found = []
    for i, row in enumerate(gsm8k()[: 2 * n]):
        stated = re.search(r"\d+ ?[-+*/] ?\d+ ?= ?\$?\d+", row["working"])
        if stated and row["gold"].isdigit() and len(found) < n:
            text = FOREIGN[i % len(FOREIGN)].format(sum=stated[0], wrong=int(row["gold"]) + 4)
            found.append(record(i, row["prompt"], row["gold"], text))
    for i, row in enumerate(ifeval()):
        if row["instruction_id_list"] == ["language:response_language"]:
            text = "This is a plain English answer, which is not what was asked for at all."
            found.append(_ifeval(i, row, text))
    return found


PLANTED = {
    "truncated": truncated,
    "no_answer": no_answer,
    "wrong_format": wrong_format,
    "wrong_answer": wrong_answer,
    "verifier_failed": verifier_failed,
    "refusal": refusal,
    "repetition": repetition,
    "wrong_language": wrong_language,
}
