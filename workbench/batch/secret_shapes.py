"""Shapes by which a secret is known without its value: tokens, logins in addresses, private keys.

Each part of a pattern that repeats is bounded, or a match consumes what it has read, so that the
time is proportional to the text whatever the text is.
"""

import re
from collections.abc import Iterator

Span = tuple[int, int]
"""Start and end of a secret in a text."""

START = r"(?:(?<![A-Za-z0-9])|(?<=[0-9\[]m)|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
"""A token starts a word, or follows a colour of a terminal, an escape or a percent code."""
TOKENS = (
    r"hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}",  # Hugging Face
    r"gh[oprsu]_[A-Za-z0-9]{36,}|github_pat_\w{22,}",  # GitHub
    r"gl(?:pat|ptt|dt|rt|cbt|ft|oas|agent|soat|imt)-[\w.-]{20,}",  # GitLab
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS
    # OpenAI, Anthropic and others; a digit tells them from names of CSS classes
    r"sk-(?=[A-Za-z_-]{0,64}\d)[\w-]{20,}",
    r"AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}",  # Google
    r"xox[abeoprs]-[\w-]{10,}|xapp-[\w-]{20,}",  # Slack
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}",  # Stripe
    r"npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{16,}|dckr_[a-z]{2,4}_[\w-]{20,}",  # registries
    r"SG\.[\w-]{16,32}\.[\w-]{32,64}|key-[0-9a-f]{32}(?![0-9a-f])",  # SendGrid, Mailgun
    r"SK[0-9a-f]{32}(?![0-9a-f])",  # Twilio
    r"\d{8,10}:AA[\w-]{33}",  # Telegram
    r"[MNO][A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,38}",  # Discord
    r"dapi[0-9a-f]{32}(?![0-9a-f])|dop_v1_[0-9a-f]{64}",  # Databricks, DigitalOcean
    r"wandb_v\d_\w{30,}|gsk_[A-Za-z0-9]{40,}|r8_[A-Za-z0-9]{30,}|nvapi-[\w-]{40,}",  # W&B, Groq ...
    r"hv[bsr]\.[\w-]{24,}|glsa_\w{32,}|glc_[\w+/=]{32,}|ATATT3[\w=-]{50,}",  # Vault, Grafana ...
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|ntn_\w{40,}|lin_api_\w{32,}",  # Shopify, Notion, Linear
    r"[A-Za-z0-9_~.-]{3}8Q~[\w.~-]{31,37}",  # Microsoft Entra
    r"AGE-SECRET-KEY-1[A-Z0-9]{50,}",  # age
    r"(?<![_-])eyJ[\w-]{8,1024}+\.eyJ[\w-]{8,}+\.[\w-]*",  # JSON web tokens
)
LOGINS = {
    # scheme://user:password@host, but not host:port; the password may hold @ and /
    r"""://[^\s/:@"'<>]{0,256}+:(?!\d{1,5}(?:[/?#]|$))"""
    r"""([^\s"'<>@]{1,256}+(?:@[^\s"'<>@]{1,256}+){0,3})@(?=[\w\[])""": ("://",),
    r"://(?=[^\s/:@]{0,256}+@|[^\s/:@]{0,256}+:@)([a-z_.~%+-]*\d[\w.~%+-]{16,256}):?@": ("://",),
    r"jdbc:oracle:\w{1,10}:[^\s/@]{1,128}/([^\s@]{1,128})@": ("jdbc:oracle",),
    # what stands in connection strings and in queries of addresses
    r"[;?&]\s{0,2}(?:password|passwd|pwd|pass|secret|client_?secret|[a-z_]{0,12}token"
    r"|api_?key|access_?key|sig|x-amz-signature|x-amz-security-token)\s?=\s?"
    r"""(?!none\b|null\b)([^\s;&"'<>#]{4,2048})""": (";", "?", "&"),
    r"""(?:account|sharedaccess)(?:key|signature)=([^\s;&"'<>#]{4,2048})""":
        ("accountkey=", "sharedaccess"),
    r"""\b(?:password|pwd)=([^\s;&"'<>]{1,256});\s{0,2}[a-z][a-z ]{0,40}=""": ("password=", "pwd="),
    r"""[^\s,({\[] password=(?!none\b|null\b)([^\s;&"'<>,)]{4,256})""": (" password=",),
    r"\bmachine\s{1,9}\S{1,256}+\s{1,9}login\s{1,9}\S{1,256}+\s{1,9}password\s{1,9}(\S{4,512})":
        ("machine",),
    # headers and assignments
    r"""authorization["']?\s{0,3}[:=]\s{0,3}["']?[a-z]{4,10}\s{1,3}([\w.~+/=-]{8,4096})""":
        ("authorization",),
    r"\bbearer\s{1,2}(?=[^\s]{0,64}\d)([\w.~+/=-]{20,4096})": ("bearer",),
    r"(?:api[_-]?key|auth-token|private-token|access_?token|auth_?token|client_?secret"
    r"|secret_?(?:access_?)?key|session_?token|password|passwd|subscription-key)"
    r"""["']?\s{0,3}[:=]\s{0,3}["']?(?=[^\s"']{0,64}\d)([\w.~+/=-]{16,4096})""":
        ("key", "token", "secret", "passw"),
    r"\bwandb(?:\.ai)?(?: login|: api key|_api_key)[^\n\w]{1,4}([0-9a-f]{40})\b": ("wandb",),
    r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]{20,256})": ("hooks.slack",),
    r"discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/\d{5,25}/([\w-]{30,128})": ("webhooks/",),
}  # fmt: skip
"""What stands around a secret, which is the group, in lower case -> words one of which is there."""
KEY_EDGE = re.compile(
    r"-{4,5} ?(BEGIN|END) (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
    r"|Private-(Lines): \d{1,4}"
)
KEY_BODY = re.compile(
    r"(?:(?:\s|\\[nrt])*+[A-Z][\w-]{2,30}: [^\n\\]{0,100}){0,8}+"  # headers
    r"(?:(?:(?:\s|\\[nrt])*+[A-Za-z0-9+/=]{16,}+)++"
    r"(?:(?:\s|\\[nrt])*+[A-Za-z0-9+/]{1,15}={1,2})?)?"
)
"""Lines of a key whose end is missing or too far away."""
MAX_KEY = 65_536
"""Characters of the longest private key."""
_LONG = re.compile(r"(?<![\w.~:%\\+/=-])[\w.~:%\\+/=-]{15,}")
"""A word that is long enough to be a token."""
_TOKEN = re.compile(START + "(?:" + "|".join(TOKENS) + ")")
_LOGIN = [(re.compile(pattern), words) for pattern, words in LOGINS.items()]


def find(text: str) -> Iterator[Span]:
    """Where secrets of any known shape are; spans may overlap.

    >>> list(find("at postgres://me:p@ss@host/db"))
    [(17, 21)]
    """
    yield from private_keys(text)
    for word in _LONG.finditer(text):
        for match in _TOKEN.finditer(text, *word.span()):
            yield match.span()
    lower = text.lower()
    if len(lower) != len(text):  # a letter that becomes two
        lower = "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)
    for pattern, words in _LOGIN:
        if any(word in lower for word in words):
            for match in pattern.finditer(lower):
                yield match.span(1)


def private_keys(text: str) -> Iterator[Span]:
    """Where private keys are, each from its first line to its last one, or as far as it goes."""
    begun: re.Match[str] | None = None
    for edge in KEY_EDGE.finditer(text):
        if edge[1] == "END" and begun and _one_key(text, begun.end(), edge.start()):
            yield begun.start(), edge.end()
            begun = None
        elif edge[1] != "END":
            if begun:
                yield _cut_off(text, begun)
            begun = edge
    if begun:
        yield _cut_off(text, begun)


def _one_key(text: str, start: int, end: int) -> bool:
    """Whether what is between two edges can be a key; in JSON, a string ends before the next."""
    return end - start <= MAX_KEY and text.find('"', start, end) < 0


def _cut_off(text: str, begun: re.Match[str]) -> Span:
    body = KEY_BODY.match(text, begun.end(), begun.end() + MAX_KEY)
    return begun.start(), body.end() if body else begun.end()
