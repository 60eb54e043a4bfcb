"""A server with OpenAI's interface that answers from a file; run as a process of its own.

`python stub_server.py ANSWERS.json [DELAY_S]` prints its port. ANSWERS maps the last user message
to the response; others get "I do not know.". A prompt of tokens is answered with its length. A
message that holds two tagged answers is a judge's: the longer one is better, or, for the model
`first`, the one that stands first. GET /asked tells how many requests were answered; GET
/v1/models lists the card in `ANSWERS.card`, where there is one, `created` when asked, as vLLM's.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PAIR = re.compile(r"<answer_A>\n(.*)\n</answer_A>.*<answer_B>\n(.*)\n</answer_B>", re.DOTALL)


class Server(ThreadingHTTPServer):
    """Answers, their delay and their count."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answers: dict[str, str], delay: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.delay, self.asked = answers, delay, 0
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests read records."""

    def do_GET(self) -> None:
        card = Path(sys.argv[1]).with_suffix(".card")
        if self.path == "/v1/models" and card.is_file():
            told = {**json.loads(card.read_text()), "created": time.time_ns()}
            self._send(200, {"object": "list", "data": [{"id": "other", "root": "x"}, told]})
            return
        self._send(200, {"asked": self.server.asked})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.server.delay)
        with self.server.lock:
            self.server.asked += 1
        if body["model"] == "refusing":
            self._send(400, {"error": "no such model"})
            return
        text = self._answer(body)
        cut = text.split()[: body["max_tokens"]]
        reason = "length" if len(cut) < len(text.split()) else "stop"
        choice = {"index": 0, "finish_reason": reason}
        if "messages" in body:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        usage = {"completion_tokens": len(cut) or 1, "prompt_tokens": 7}
        self._send(200, {"choices": [choice], "usage": usage})

    def _answer(self, body: dict[str, Any]) -> str:
        if "messages" not in body:
            prompt = body["prompt"]
            if isinstance(prompt, list):
                return f"{len(prompt)} tokens"
            return self.server.answers.get(prompt, "I do not know.")
        asked = body["messages"][-1]["content"]
        pair = PAIR.search(asked)
        if pair is not None:
            first, second = len(pair[1]), len(pair[2])
            better = "tie" if first == second else "A" if first > second else "B"
            better = "A" if body["model"] == "first" else better
            return json.dumps({"reason": "length", "better": better})
        if body["temperature"] > 0:
            return f"The answer is {body['seed'] % 10}."
        return self.server.answers.get(asked, "I do not know.")

    def _send(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    served = Server(
        json.loads(Path(sys.argv[1]).read_text()), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    )
    print(served.server_address[1], flush=True)
    served.serve_forever()
