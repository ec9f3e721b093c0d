"""Make smollm2.json: what llama.cpp makes of the same GGUF file, to hold our reading of it against.

Run it in an environment of its own, with the model fetched:

    python -m venv /tmp/llama && /tmp/llama/bin/pip install xllamacpp==2026.10.11549
    /tmp/llama/bin/python tests/golden/smollm2.py data/raw/smollm2/model.gguf
"""

import json
import math
import sys
import urllib.request
from pathlib import Path
from typing import Any

STRINGS = [
    "The quick brown fox.",
    " two  spaces\tand\r\nlines\n\n",
    "Zürich, Ångström, naïve café, Łódź",
    "3.14159 and 1,000,000 in 2026",
    "😀👍🏽 and ♥",
    "日本語 русский عربى",
    "<b>not</b> &amp; \\n {x}",
    "don't we'll I'VE they're",
    "e\u0301 is not \u00e9",
    "   leading and trailing   ",
    "CamelCaseWords and snake_case_words",
    "http://example.org/a?b=c&d=%20",
    "def f(x):\n    return x ** 2\n",
    "中文分词没有空格。",
    "€5.00, £3 or ¥1000",
    "\u200bzero\u00a0width",
    "0x1F 1e-5 007 12345678901",
    "!!!??? ... --- ***",
    "한국어 ไทย हिन्दी",
    "a" * 40,
]
PROMPTS = [
    "The capital of France is",
    "Water boils at a temperature of",
    "def add(a, b):\n    return",
    "Monday, Tuesday, Wednesday,",
    "Tweet: I love it!\nSentiment:",
]
TEXT = (
    "A river rises where rain and melting snow gather, and it runs downhill until it meets a lake "
    "or the sea. People have always lived beside rivers: they drink the water, catch the fish, and "
    "carry goods from town to town by boat."
)
VOCABULARY = 49_152


def serve(file: str) -> Any:
    """llama.cpp with the model, on the processor; its package is in no lock of ours."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.n_gpu_layers = file, 512, 1, 0
    return xllamacpp.Server(params)


def main() -> None:
    """Ask for tokens, the likeliest next tokens, and each token of a text."""
    server = serve(sys.argv[1])

    def ask(path: str, **body: object) -> dict:
        headers = {"Content-Type": "application/json"}
        url = server.listening_address + path
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        return json.load(urllib.request.urlopen(request))

    def tokens(text: str) -> list[int]:
        return ask("/tokenize", content=text, add_special=False, parse_special=False)["tokens"]

    def following(prompt: str | list[int], count: int) -> dict[int, float]:
        asked = {"n_predict": 1, "n_probs": count, "temperature": 0, "cache_prompt": False}
        (found,) = ask("/completion", prompt=prompt, **asked)["completion_probabilities"]
        return {token["id"]: token["logprob"] for token in found["top_logprobs"]}

    ids = tokens(TEXT)
    logs = [following(ids[:end], VOCABULARY)[ids[end]] for end in range(1, len(ids))]
    golden = {
        "tokens": {text: tokens(text) for text in STRINGS},
        "next": {prompt: next(iter(following(prompt, 1).items())) for prompt in PROMPTS},
        "text": TEXT,
        "log_probabilities": [round(value, 4) for value in logs],
        "perplexity": math.exp(-sum(logs) / len(logs)),
    }
    target = Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(golden, indent=None, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
