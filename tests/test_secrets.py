"""Secrets of many shapes, written in many ways, and what is no secret; and how long that takes.

No secret here is one, and none stands in this file as a whole: each is put together when the test
runs, so that no scanner of repositories takes it for one.
"""

import json
import time
from urllib.parse import quote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from workbench.batch import kernel, scrub, secret_shapes
from workbench.batch.scrub import MASK, NAMES, Scrubber
from workbench.report import cells, page, prose
from workbench.report.cleaning import clean, without_home

HEX, LETTERS, MIXED = "0123456789abcdef" * 8, "QWERTYUIOP" * 4, "aB3dE5gH7j" * 12
WEB_TOKEN = ".".join(["eyJ" + MIXED[:20], "eyJ" + MIXED[:30], MIXED[:43]])
BODY = "\n".join([MIXED[:64]] * 4)


def edge(side: str, kind: str) -> str:
    return "-" * 5 + f"{side} {kind}" + "-" * 5


def key(kind: str) -> str:
    return f"{edge('BEGIN', kind)}\n{BODY}\n{edge('END', kind)}"


SHAPES = {
    "Hugging Face": "hf" + "_" + MIXED[:34],
    "GitHub": "gh" + "p_" + MIXED[:36],
    "GitHub, fine-grained": "github" + "_pat_" + MIXED[:22] + "_" + MIXED[:59],
    "GitLab": "gl" + "pat-" + MIXED[:20],
    "GitLab, routable": "gl" + "pat-" + MIXED[:27] + ".01." + HEX[:9],
    "AWS": "AK" + "IA" + LETTERS[:16],
    "AWS, temporary": "AS" + "IA" + LETTERS[:16],
    "OpenAI": "sk" + "-" + MIXED[:48],
    "OpenAI, project": "sk" + "-proj-" + MIXED[:60],
    "Anthropic": "sk" + "-ant-api03-" + MIXED[:90],
    "Google": "AI" + "za" + MIXED[:35],
    "Slack": "xo" + "xb-" + "1" * 12 + "-" + MIXED[:24],
    "Stripe": "sk" + "_live_" + MIXED[:24],
    "npm": "np" + "m_" + MIXED[:36],
    "PyPI": "py" + "pi-AgEIcHlwaS5vcmc" + MIXED[:80],
    "SendGrid": "SG" + "." + MIXED[:22] + "." + MIXED[:43],
    "Telegram": "1" * 9 + ":A" + "A" + MIXED[:33],
    "Discord": "M" + MIXED[:23] + "." + MIXED[:6] + "." + MIXED[:38],
    "Databricks": "da" + "pi" + HEX[:32],
    "JSON web token": WEB_TOKEN,
    "private key": key("PRIVATE KEY"),
    "RSA key": key("RSA PRIVATE KEY"),
    "OpenSSH key": key("OPENSSH PRIVATE KEY"),
    "PGP key": key("PGP PRIVATE KEY BLOCK"),
    "key without its end": f"{edge('BEGIN', 'PRIVATE KEY')}\n{BODY}",
}
WORD = "not" + "-for-" + "you9"
ADDRESSES = [
    f"http://token:{WORD}@proxy.example:3128",
    f"https://{MIXED[:30]}@git.example/a.git",
    f"postgres://me:{WORD}@db.example:5432/table",
    f"postgresql+psycopg://me:p@{WORD}@db.example/table",
    f"postgres://me:a/{WORD}@db.example/table",
    f"mysql://me:{WORD}@db.example/table",
    f"mongodb+srv://me:{WORD}@cluster.example/?retry=1",
    f"redis://:{WORD}@cache.example:6379/0",
    f"amqp://me:{WORD}@queue.example//",
    f"jdbc:postgresql://db.example/table?user=me&password={WORD}&ssl=true",
    f"jdbc:sqlserver://db.example;user=me;password={WORD};encrypt=true",
    f"jdbc:oracle:thin:me/{WORD}@db.example:1521/x",
    f"Server=db.example;User Id=me;Password={WORD};Encrypt=yes",
    f"DefaultEndpointsProtocol=https;AccountName=me;AccountKey={WORD};EndpointSuffix=x",
    f"Endpoint=sb://x.example/;SharedAccessKeyName=me;SharedAccessKey={WORD}",
    f"https://x.blob.example/a?sv=2024&sig={WORD}",
    f"host=db.example user=me password={WORD} dbname=x",
    f"machine api.wandb.ai login user password {WORD}",
    f"Authorization: Bearer {WORD}",
    f'"Authorization": "Basic {WORD}"',
    f"aws_secret_access_key = {WORD}/{WORD}",
    f"WANDB_API_KEY={HEX[:40]}",
    f"wandb login {HEX[:40]}",
]
HARMLESS = [
    "commit " + HEX[:40],
    "sha256 " + HEX[:64],
    "50-ner-8b77160ec939, 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "wandb 0.19 at " + HEX[:40],
    "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ" * 40,
    "sk-toggleable__content sk-toggleable__label-arrow sk-estimator-doc-link-and-more",
    "hf_hub_download(repo_id) and hf_transfer; a task-oriented risk-averse mask-filling model",
    "max_tokens=8, pad_token='<pad>', tokenizer=BertTokenizerFast, token_type_ids=None",
    "connect(user=user, password=password)",
    "http://127.0.0.1:8888/lab?a=b, https://x.example:443/a@b and me@x.example",
    "https://huggingface.co/datasets/a/b@main; git@github.com:a/b.git",
    f"{edge('BEGIN', 'CERTIFICATE')}\n{BODY}\n{edge('END', 'CERTIFICATE')}",
    "The secret of the token is a password: nobody knows it.",
    "The bearer of this letter spoke: basic authorization is internationalisation",
    "AKIA is a prefix; SG.Nothing; key-value; eyJ is how it begins",
]


@pytest.mark.parametrize("service", SHAPES)
@pytest.mark.parametrize(
    "around", ["{}", "x = '{}'", "\x1b[32m{}\x1b[0m", "a b {}, c", "url?a={}&b"]
)
@pytest.mark.fault(53, "tokens of services, logins in addresses", "masked")
def test_tokens_of_services_are_masked(service, around):
    secret = SHAPES[service]
    shown = Scrubber().secrets(around.format(secret))
    assert shown.count(MASK) == 1
    assert shown == around.format(MASK)


@pytest.mark.parametrize("service", SHAPES)
def test_tokens_are_masked_as_json_and_python_write_them(service):
    for write in (json.dumps, repr, lambda text: json.dumps([1, {"a": f"b\n{text}"}])):
        shown = Scrubber().secrets(write(SHAPES[service]))
        assert MASK in shown
        assert MIXED[:20] not in shown
        assert HEX[:20] not in shown


@pytest.mark.parametrize("text", ADDRESSES)
@pytest.mark.fault(53, "tokens of services, logins in addresses", "masked")
def test_logins_in_addresses_and_headers_are_masked_and_the_rest_can_be_read(text):
    scrubber = Scrubber()
    shown = scrubber.secrets(f"connecting: {text}\nnext")
    assert not [secret for secret in (WORD, HEX[:40], MIXED[:30]) if secret in shown]
    assert shown.startswith("connecting: ")
    assert shown.endswith("\nnext")
    assert scrubber.found == 1
    assert scrubber.secrets(shown) == shown
    assert scrubber.found == 1, "what is masked is not counted again"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text):
    assert Scrubber().secrets(text) == text


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((f"DB{end}", True) for end in ("_PASS", "_PASSWORD", "_PWD", "_PAT", "_CREDS", "_JWT")),
        *((name, True) for name in ("PASS", "AZURE_STORAGE_CONNECTION_STRING", "SLACK_WEBHOOK")),
        *((name, False) for name in ("PWD", "PATH", "GIT_ASKPASS", "TOKENIZERS_PARALLELISM")),
        *((name, False) for name in ("HF_TOKEN_PATH", "PASSAGE", "COMPASS", "PYTHONPATH")),
    ],
)
def test_names_of_variables_that_hold_secrets(name, secret):
    assert bool(NAMES.search(name)) is secret


VALUES = [
    "two words%20and" + "%2Fcodes",
    "first line of it\nsecond line of" + " it\n",
    "a\"b\\c'd<e>&f" + "g",
]


@pytest.mark.parametrize("value", VALUES)
def test_value_of_a_variable_is_masked_in_each_of_its_forms(monkeypatch, value):
    monkeypatch.setenv("SOME_PASS", value)
    scrubber = scrub.of_environment()
    plain = value.strip()
    forms = [plain, json.dumps(plain), json.dumps(json.dumps(plain)), repr(plain), quote(plain)]
    forms += [quote(plain, safe=""), plain.replace("\n", "\r\n"), *plain.splitlines()]
    for text in forms:
        shown = scrubber.secrets(f"<{text}>")
        assert MASK in shown, text
        assert "codes" not in shown and "line of" not in shown and "fg" not in shown
    decoded = "two words and/" + "codes"
    if "%" in value:
        assert scrubber.secrets(decoded) == MASK


@pytest.mark.parametrize("address", ADDRESSES[:9])
def test_password_in_an_address_is_masked_where_it_stands_alone(monkeypatch, address):
    monkeypatch.setenv("SOME_ADDRESS", address)
    secret = MIXED[:30] if MIXED[:30] in address else WORD
    secret = f"p@{WORD}" if f"p@{WORD}" in address else secret
    secret = f"a/{WORD}" if f"a/{WORD}" in address else secret
    assert scrub.of_environment().secrets(f"it is {secret}.") == f"it is {MASK}."


@pytest.mark.parametrize("password", [WORD, f"a/{WORD}", f"a@b/{WORD}"])
def test_proxy_reaches_every_kernel_and_its_login_only_those_that_use_the_hub(password):
    proxy = f"http://me:{password}@proxy.example:3128"
    given = {"HTTPS_PROXY": proxy, "NO_PROXY": "localhost", "SMTP_PASS": WORD, "DB_URL": proxy}
    alone, hub = (kernel.passed_on(given, hub=hub) for hub in (False, True))
    assert alone["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert hub["HTTPS_PROXY"] == proxy
    for passed in (alone, hub):
        assert passed["NO_PROXY"] == "localhost"
        assert not {"SMTP_PASS", "DB_URL"} & set(passed)


def test_settings_of_threads_reach_every_kernel():
    given = {
        "OMP_WAIT_POLICY": "active", "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0",
        "GOMP_CPU_AFFINITY": "0-1", "KMP_BLOCKTIME": "0", "KMP_AFFINITY": "compact",
    }  # fmt: skip
    for hub in (False, True):
        passed = kernel.passed_on(given | {"XOMP_A": "1", "GOMP": "1"}, hub=hub)
        assert given.items() <= passed.items()
        assert not {"XOMP_A", "GOMP"} & set(passed)


def test_secret_across_the_outputs_of_a_cell_is_masked(tmp_path):
    token = SHAPES["GitHub"]
    outputs = [
        new_output("stream", name="stdout", text=f"before {token[:9]}"),
        new_output("stream", name="stderr", text="\x1b[1mbetween"),
        new_output("stream", name="stdout", text=token[9:20]),
        new_output("stream", name="stdout", text=f"{token[20:]} after"),
        new_output("display_data", data={"image/png": "iVBORw0KGgo" + SHAPES["AWS"]}),
        new_output("display_data", data={"application/json": {"a": [token]}}),
    ]
    path = tmp_path / "notebook.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(f"x = '{token}'", outputs=outputs)]), path)
    (tmp_path / "run.log").write_text(f"a {token}\n")
    scrubber = Scrubber()
    scrubber.files(tmp_path)
    (cell,) = nbformat.read(path, as_version=4).cells
    texts = [output.text for output in cell.outputs[:4]]
    assert texts == [f"before {MASK}", "\x1b[1mbetween", "", " after"]
    assert cell.outputs[4].data["image/png"].endswith(SHAPES["AWS"]), "images stay as they are"
    assert cell.outputs[5].data["application/json"] == {"a": [MASK]}
    assert cell.source == f"x = '{MASK}'"
    assert (tmp_path / "run.log").read_text() == f"a {MASK}\n"
    assert scrubber.found == 4


def test_home_is_not_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/somebody")
    others = "/home/somebody2 /srv/home/somebody"
    text = f"/home/somebody/a '/home/somebody' file:///home/somebody/b {others}"
    expected = f"~/a '~' file://~/b {others}"
    assert without_home(text) == Scrubber().shown(text) == expected
    (tmp_path / "params.json").write_text(json.dumps({"dataset": "/home/somebody/data"}))
    made = page.render(tmp_path)
    assert "~/data" in made
    assert "/home/somebody" not in made


@pytest.mark.fault(55, "half characters and zero bytes in outputs", "record and page are written")
def test_half_characters_and_nuls_stop_no_record_and_no_page(tmp_path):
    text = "half \ud800 nul \0 low \udc80"
    shown = Scrubber().message({"text/plain": text, "text/html": [text]})
    assert shown["text/plain"] == "half \\ud800 nul \0 low \\udc80"
    outputs = [
        new_output("stream", name="stdout", text=text),
        new_output("display_data", data={"text/html": text}),
    ]
    notebook = new_notebook(cells=[new_code_cell("x", outputs=outputs)])
    (tmp_path / "notebook.ipynb").write_text(json.dumps(notebook))
    (tmp_path / "result.json.draft.json").write_text(json.dumps({"a": text}))
    Scrubber().files(tmp_path)
    page.write(tmp_path)
    made = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert made.count(r"half \ud800 nul") == 2
    assert "could not be made" not in made


def once(work, text) -> float:
    """Processor time."""
    began = time.process_time()
    work(text)
    return time.process_time() - began


def seconds(work, text) -> float:
    """Processor time, the best of five."""
    return min(once(work, text) for _ in range(5))


SLOW = [
    edge("BEGIN", "PRIVATE KEY") + "\n", edge("BEGIN", "PRIVATE KEY"), "eyJ-", "eyJaaaaaaaa.",
    "eyJ0m", "://", "://a:", "sk-", "SG.", "password=", "&password=", "machine a ", "AccountKey=",
    "Private-Lines: 14\n", "authorization: bearer ", "-----", "a", " ",
]  # fmt: skip


@pytest.mark.parametrize("unit", SLOW)
@pytest.mark.fault(
    54, "outputs that are slow to clean or to mask", "time in proportion, shown as their source"
)
def test_time_to_find_secrets_grows_with_the_text(unit):
    scrubber = Scrubber([WORD])
    single, fourfold = (
        seconds(scrubber.secrets, unit * (size // len(unit))) for size in (10**5, 4 * 10**5)
    )
    # Sixteen times as long where it grows with the square.
    assert fourfold < max(8 * single, 0.2), (single, fourfold)
    assert fourfold < 10


@pytest.mark.parametrize(
    "unit", ["<b>", "<ul><li>", "<b class=1><i><div>", "<div>", "<table><tr><td>"]
)
@pytest.mark.fault(
    54, "outputs that are slow to clean or to mask", "time in proportion, shown as their source"
)
def test_a_hundred_thousand_open_tags_are_shown_as_their_source_at_once(unit):
    text = unit * (100_000 // unit.count("<"))
    assert once(clean, text) < 5
    assert "more than 500 elements are open" in clean(text)
    rows = "<table>" + "<tr><td>1<td><b>2</b></tr>" * 5_000 + "</table>"
    assert clean(rows).count("<b>") == 5_000


@pytest.mark.parametrize(
    "unit", ["\\begin{a}", "\\\\[", "$$a", "[", "> ", "|a|b|\n|-|-|\n", "`a", "<b>"]
)
@pytest.mark.fault(
    54, "outputs that are slow to clean or to mask", "time in proportion, shown as their source"
)
def test_time_to_render_markdown_is_bounded(unit):
    assert once(prose.markdown, unit * (prose.MAX_MARKDOWN // len(unit))) < 15
    assert "being longer than" in prose.markdown(unit * (prose.MAX_MARKDOWN + 1))


@pytest.mark.parametrize("unit", ["\x1b[1;2;3m", "a.", "(", "'''"])
def test_long_outputs_and_code_take_a_page_no_time(tmp_path, unit):
    text = unit * (400_000 // len(unit))
    outputs = [
        new_output("execute_result", data={"text/plain": text}),
        new_output("error", ename="E", evalue="x", traceback=[text, "the last line"]),
    ]
    path = tmp_path / "notebook.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(text, outputs=outputs)]), path)
    began = time.process_time()
    shown = cells.read(path, "failed", {}).body
    assert time.process_time() - began < 15
    assert "the last line" in shown
    assert "more characters in notebook.ipynb" in shown


def test_key_is_masked_to_its_end_and_no_further():
    begun, prose_after = edge("BEGIN", "PRIVATE KEY"), "\nprose, of several words"
    text = f"{key('PRIVATE KEY')}{prose_after}\n{begun}{prose_after}"
    assert Scrubber().secrets(text) == f"{MASK}{prose_after}\n{MASK}{prose_after}"
    apart = json.dumps([edge("BEGIN", "PRIVATE KEY"), "kept", edge("END", "PRIVATE KEY")])
    assert "kept" in Scrubber().secrets(apart)
    assert secret_shapes.MAX_KEY > 50_000
