"""Tables of entities that a decoder was asked to write."""

from html import escape

from workbench.display.html import Html, note, table
from workbench.record.result import Result, duration

OUTCOMES = {
    "unparsed": "answer does not follow the grammar",
    "cut": "answer cut at max_tokens",
    "exact": "found letter for letter",
    "other_case": "found in other letter case only",
    "ambiguous": "found, with more places left than times written",
    "not_in_text": "not in the sentence",
    "boundary": "parts of words only",
    "repeated": "written too often",
    "overlapping": "overlaps an entity written before",
}
"""What becomes of an answer or of a string in it -> its words."""
PER = 1000
"""Sentences that a cost is told for."""


def written_names(result: Result) -> Html:
    """What became of the answers and of each string in them: counts, and examples of each."""
    found = {name: result.tables["outcomes"].get(name) for name in OUTCOMES}
    answers = result.tables["asking"]["sentences"]
    strings = sum(
        row["count"]
        for name, row in found.items()
        if row and name not in {"unparsed", "cut", "ambiguous"}
    )
    rows = []
    for name, said in OUTCOMES.items():
        of, what = (answers, "answers") if name in {"unparsed", "cut"} else (strings, "strings")
        count = (found[name] or {"count": 0})["count"]
        fraction = f" ({count / of:.1%})" if of else ""
        rows.append([said, f"{count:,} of {of:,} {what}{fraction}"])
    examples = [
        f"<li>{escape(OUTCOMES[name])}"
        + (f": <b>{escape(each['text'])}</b>" if each["text"] else "")
        + f'<br><span class="wb-role">sentence</span>{escape(each["sentence"])}'
        + f'<br><span class="wb-role">answer</span>{_one_line(each["answer"])}</li>'
        for name, row in found.items()
        for each in (row or {"examples": []})["examples"]
    ]
    text = (
        "Strings in the last four rows have no place in the sentence: each counts as a wrong "
        f"entity in the entity F1 of {result.metrics['test/entity_f1']}. Left out, as if they had "
        f"not been written, it would be {result.metrics['test/entity_f1_placed_only']}. "
        "Below are examples of what went wrong, if anything did."
    )
    body = table(["what became of it", "times"], rows) + note(text)
    return Html(f'{body}<ol class="wb-sentences">{"".join(examples)}</ol>')


def asking(result: Result) -> Html:
    """What a thousand sentences cost: time by part of the work, tokens read and written."""
    found = result.tables["asking"]
    scale = PER / found["sentences"]
    # The training split is embedded once, whatever the number of sentences.
    scales = {"choosing shots": 1.0}
    rows = [
        [name, duration(seconds * scales.get(name, scale))]
        for name, seconds in found["seconds"].items()
    ]
    rows += [[f"tokens {name}", f"{found[name] * scale:,.0f}"] for name in ("read", "written")]
    text = (
        f"Scaled from {found['sentences']:,} sentences on this run's machine. Choosing shots "
        "embeds the training split once, so that stands as it was. Each prompt's tokens are read "
        "anew."
    )
    return Html(table([f"for {PER:,} sentences", "cost"], rows) + note(text))


def _one_line(answer: str) -> str:
    return escape(" / ".join(line for line in answer.split("\n") if line.strip())) or "(nothing)"
