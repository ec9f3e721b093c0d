"""BibTeX of a run, and of the models and data sets it used as far as they are published."""

import re
from collections.abc import Mapping
from typing import Any

from workbench.core import assets
from workbench.core.sources import HUB
from workbench.record.result import Result

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {character: f"\\{character}" for character in "&%$#_"}
SPECIAL |= {"{": "", "}": ""}  # BibTeX counts them, escaped or not
DATE = re.compile(r"(\d{4})-(\d\d)-\d\d")


def bibtex(title: str, run_id: str, record: Result) -> str:
    """An entry for the run, and one for each source that the catalogue or the Hub has.

    A catalogue's entry that names a paper gives that too. Files of the user's own have none.
    """
    used = [f"{kind} {source.get('name', '')}" for kind, source in record.sources.items()]
    packages = record.environment.get("packages", {})
    versions = [
        f"{name} {packages[name]}" for name in ("torch", "transformers") if name in packages
    ]
    commit = record.environment.get("commit", "")
    about = {
        "started": record.started, "commit": commit, "versions": ", ".join(versions),
        "used": ", ".join(used),
    }  # fmt: skip
    date = DATE.match(record.started)
    fields = {
        "title": title,
        "howpublished": f"Run {run_id} of llm-workbench",
        "year": date[1] if date else "",
        "month": date[0][5:7] if date else "",
        "note": "; ".join(f"{name} {value}" for name, value in about.items() if value),
    }
    entries = [entry("misc", run_id, fields)]
    for source in record.sources.values():
        entries += _of_source(source)
    return "\n\n".join(dict.fromkeys(entries))


def _of_source(source: Mapping[str, str]) -> list[str]:
    name = source.get("name", "")
    fields = {"note": f"fingerprint {source.get('fingerprint', '')[:12]}"}
    if name.startswith(HUB):
        repository, _, revision = name.removeprefix(HUB).partition("@")
        fields |= {"title": repository, "url": f"https://huggingface.co/{repository}"}
        fields["note"] = f"revision {revision}"
        return [entry("misc", name, fields)]
    asset = assets.catalogue().get(name)
    if asset is None:
        return []
    made = entry("misc", name, {"title": asset.about, "url": asset.source} | fields)
    return [made, asset.cite.strip()] if asset.cite else [made]


def entry(kind: str, key: str, fields: Mapping[str, Any]) -> str:
    r"""An entry of BibTeX; what is special to LaTeX is escaped.

    >>> print(entry("misc", "hf:a/b", {"title": "50 % of F_1", "year": "", "month": "03"}))
    @misc{hf-a-b,
      title = {{50 \% of F\_1}},
      month = mar,
    }
    """
    lines = [f"@{kind}{{{re.sub(r'[^A-Za-z0-9_.-]+', '-', key).strip('-') or 'run'},"]
    for name, value in fields.items():
        text = " ".join(str(value).split())
        if name == "month" and text:
            lines.append(f"  month = {MONTHS[int(text) - 1]},")
        elif name == "url":
            lines.append(f"  url = {{{re.sub('[{}]', '', text)}}},")
        elif text:
            escaped = "".join(SPECIAL.get(character, character) for character in text)
            # Double braces keep a title's capitals.
            lines.append(f"  {name} = {{{{{escaped}}}}}," if name == "title" else
                         f"  {name} = {{{escaped}}},")  # fmt: skip
    return "\n".join([*lines, "}"])
