"""Tables of what a pretrained model is made of and what it knows."""

from html import escape

from workbench.display.html import Html, note, table
from workbench.record.metric import summed_up
from workbench.record.result import Result
from workbench.record.statistics import correction, verdicts

MIB = 1 << 20


def parts(result: Result, model: str) -> Html:
    """Parameters, memory and arithmetic of `model` or `encoder` by part."""
    found = result.tables["parts"][result.sources[model]["name"]]
    total = {
        key: sum(part[key] for part in found["parts"].values())
        for key in ("parameters", "bytes", "flops")
    }
    rows = []
    for name, part in (*found["parts"].items(), ("total", total)):
        fractions = [_fraction(part[key], total[key]) for key in ("parameters", "flops")]
        rows.append(
            [
                name,
                f"{part['parameters']:,}",
                fractions[0],
                f"{part['bytes'] / MIB:,.1f}",
                f"{part['flops'] / 1e6:,.1f}",
                fractions[1],
            ]
        )
    heads = ["part", "parameters", "fraction", "MiB", "MFLOP a token", "fraction"]
    seen = "itself and those before it" if found["causal"] else "all of them"
    text = (
        f"Exact counts, so no intervals. MFLOP: millions of operations of a forward pass, two for "
        f"each multiply-add of a matrix product, in a text of {found['context']:,} tokens of "
        f"which each attends to {seen}. Memory as loaded."
    )
    if "head" in found["parts"] and not found["parts"]["head"]["parameters"]:
        text += " The head's weights are those of the embeddings, counted there."
    if "other" in found["parts"]:
        text += " Other: what belongs to no layer, such as a pooler."
    return Html(table(heads, rows, rule_before="total") + note(text))


def _fraction(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else ""


def domains(result: Result) -> Html:
    """What the decoder makes of each domain, with n-grams, lzma and even guessing."""
    rows, made = [], set()
    for name, size in result.tables["domains"].items():
        bits = f"{name}/bits_per_byte"
        own = result.metrics[bits]
        made.add(own.how)
        rows.append(
            [
                name,
                str(own),
                str(result.baselines["n-gram"][bits]),
                f"{result.comparisons['n-gram'][bits]:+}",
                f"{result.baselines['lzma'][bits].value:.3f}",
                f"{result.baselines['uniform'][bits].value:.3f}",
                str(result.metrics[f"{name}/next_token_accuracy"]),
                f"{own.n:,}",
                f"{size['tokens']:,}",
                f"{size['bytes']:,}",
                f"{size['given']:,}",
            ]
        )
    heads = ["domain", "bits per byte", "n-gram", "model minus n-gram", "lzma", "uniform",
             "next token right", "passages", "tokens", "bytes", "bytes given"]  # fmt: skip
    text = (
        f"In brackets 95 % intervals: {summed_up(made)}; the difference is paired. N-gram "
        "and lzma are given other documents of the corpus, so many bytes, and then the passages; "
        "the model is given none of them. Given text that repeats itself helps "
        "the two. Lzma writes one stream, so no interval. Uniform: each token as probable as any "
        "other."
    )
    return Html(table(heads, rows) + note(text))


def surprising(result: Result) -> Html:
    """The most surprising four words in a row of each domain, with what stands around them."""
    if not result.tables["spans"]:
        return Html(note("No document has the 8 words without links and @names that this takes."))
    places = [
        f"<li>{span['bits']:.0f} bits, {escape(span['domain'])}<br>{escape(span['before'])} "
        f'<mark class="wb-entity wb-wrong">{escape(span["span"])}</mark> '
        f"{escape(span['after'])}</li>"
        for span in result.tables["spans"]
    ]
    text = (
        "Four words in a row, one place a document. A document's first four words, which have no "
        "context of their own, and words with links and @names are passed over."
    )
    return Html(f'{note(text)}<ol class="wb-sentences">{"".join(places)}</ol>')


def probes(result: Result) -> Html:
    """Each tag set's best layer beside other methods, with the paired differences."""
    blocks, made = [], set()
    layers = result.tables["best_layers"]
    names = [
        next(name for name in result.metrics if name.startswith(kind) and "/layer_" not in name)
        for kind in (f"{kind}/" for kind in layers)
    ]
    differences = {
        f"{method}: {name}": found[name]
        for method, found in result.comparisons.items()
        for name in names
        if name in found
    }
    said = verdicts(differences)
    for name, layer in zip(names, layers.values(), strict=True):
        own = result.metrics[name]
        made.add(own.how)
        rows = [[f"probe, layer {layer}", str(own), "", ""]]
        for method, found in result.baselines.items():
            if name in found:
                against = result.comparisons[method][name]
                verdict = said[f"{method}: {name}"]
                rows.append([method, str(found[name]), f"{against:+}", str(verdict)])
        heads = [name, f"n = {own.n:,} words", "probe minus this", "the probe is"]
        blocks.append(table(heads, rows))
    text = (
        f"In brackets 95 % intervals: {summed_up(made)}. Differences are paired: both "
        "methods on the same words. Control task: the same probe at the same layer, trained and "
        "tested on tags of which every word type has one, drawn at random; the difference from it "
        "is the probe's selectivity. Untrained encoder: random weights, its own best layer. Most "
        "frequent tag: that of each word in the training sentences. Word, ending and shape: the "
        "same, but a word not seen there gets the tag of rare words with the same ending, letter "
        f"case and digits. Majority: the most frequent tag of all. {correction(differences)}"
    )
    return Html("".join(blocks) + note(text))
