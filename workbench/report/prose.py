"""Markdown as cleaned HTML, its formulas as MathML, which browsers draw without a script."""

import re
import secrets
from collections.abc import Mapping
from html import escape, unescape
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element
from nbconvert.filters.markdown_mistune import (
    IPythonRenderer,
    MarkdownWithMath,
    MathBlockParser,
    MathInlineParser,
)

from workbench.report.cleaning import TAGS, clean, visible

MAX_FORMULA = 4_000
"""Characters of a formula; a longer one is shown as its source."""
MAX_MARKDOWN = 50_000
"""Characters of a text that is rendered; of a longer one, so many are shown as their source."""
ELEMENTS = set(
    "math menclose mfrac mi mn mo mover mpadded mphantom mroot mrow mspace msqrt mstyle msub"
    " msubsup msup mtable mtd mtext mtr munder munderover".split()
)
ATTRIBUTES = set(
    "accent columnalign columnlines columnspacing depth display displaystyle fence form height"
    " largeop linebreak linethickness lspace mathsize mathvariant maxsize minsize movablelimits"
    " notation rowlines rowspacing rspace scriptlevel separator stretchy width".split()
)
# Words and sizes of at most 99 units, so that a formula can't cover what stands around it.
VALUE = re.compile(r"[a-z -]*|-?\d{0,2}(\.\d+)?[a-z%]*")
UNREAD = re.compile(r"\\[A-Za-z].*|&")
"""What the converter leaves of a command or an alignment that it doesn't know."""
QUOTES = re.compile(r"(?m)^((?: {0,3}>){20})[ >]+")
"""A quotation in more than twenty others; the parser needs minutes for one in thousands."""
ALIGNED = re.compile(r"\\(begin|end)\{(?:aligned|align\*?|split)\}")
"""Environments that it doesn't know, and that an array stands in for."""
ARRAY = {"begin": r"\begin{array}{rl}", "end": r"\end{array}"}
ALONE = re.compile(r"(\${1,2})(?P<body>.+)\1|\\begin\{.+\}", re.DOTALL)
"""LaTeX that is one formula and nothing else."""
TAG = re.compile(r"</?([A-Za-z][^\s/>]*)")


def markdown(text: str, *, anchors: bool = False) -> str:
    r"""Markdown as HTML that can't run; with `anchors`, headings have ids.

    Formulas stand for themselves while the rest is cleaned, so that no markup in the text can
    pass for one.

    >>> markdown("It costs $5 and $6, or `$x$`.")
    '<p>It costs $5 and $6, or <code>$x$</code>.</p>\n'
    """
    if len(text) > MAX_MARKDOWN:
        note = f"Its source, up to {MAX_MARKDOWN:,} characters, being longer than that:"
        return f"<p>{note}</p><pre>{escape(visible(text[:MAX_MARKDOWN]))}</pre>"
    renderer = _Renderer()
    html = MarkdownWithMath(
        renderer=renderer, block=_Blocks(), inline=_Formulas(hard_wrap=False)
    ).render(QUOTES.sub(r"\1 ", text))
    place = re.compile(rf'<span class="{renderer.mark}-(\d+)">.*?</span>', re.DOTALL)
    return place.sub(lambda match: renderer.formulas[int(match[1])], clean(html, anchors=anchors))


def latex(text: str) -> str:
    """An output of the kind text/latex: a formula, or else its source."""
    match = ALONE.fullmatch(text.strip())
    if not match:
        return f'<pre class="output">{escape(text)}</pre>'
    return formula(match["body"] or match[0], text, block=match[1] != "$")


def formula(body: str, source: str, *, block: bool = False) -> str:
    r"""MathML of a formula; where it can't be read, or says more than maths, its source.

    >>> formula("2x", "$2x$")
    '<math display="inline"><mrow><mn>2</mn><mi>x</mi></mrow></math>'
    >>> formula(r"\href{javascript:x()}{x}", r"$\href{javascript:x()}{x}$")
    '<code>$\\href{javascript:x()}{x}$</code>'
    """
    try:
        if len(body) > MAX_FORMULA:
            raise ValueError("too long to be a formula")
        body = ALIGNED.sub(lambda edge: ARRAY[edge[1]], body)
        markup = _markup(convert_to_element(body, display="block" if block else "inline"))
    except Exception:  # noqa: BLE001  the converter's errors have no base; the source is shown
        return f"<code>{escape(source)}</code>"
    return f'<span class="formula">{markup}</span>' if block else markup


def _markup(node: Element) -> str:
    """The element as text; ValueError for whatever is no plain maths."""
    if node.tag not in ELEMENTS:
        raise ValueError(f"no element of a formula: {node.tag}")
    attributes = {name: value for name, value in node.attrib.items() if name != "xmlns"}
    for name, value in attributes.items():
        if name not in ATTRIBUTES or not VALUE.fullmatch(value):
            raise ValueError(f"no attribute of a formula: {name}={value!r}")
    text = node.text or ""
    if node.tag != "mtext" and UNREAD.fullmatch(text):
        raise ValueError(f"not known to the converter: {text}")
    # The converter writes references such as &#x02211; where other libraries write characters.
    inside = escape(unescape(text)) + "".join(_markup(child) for child in node)
    given = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<{node.tag}{given}>{inside}</{node.tag}>"


def _bounded(patterns: Mapping[str, str]) -> dict[str, str]:
    """The same patterns, but none looks for an end farther away than a formula may be long."""
    return {name: text.replace(".*?", f".{{0,{MAX_FORMULA}}}?") for name, text in patterns.items()}


class _Blocks(MathBlockParser):
    """Finds formulas that are paragraphs by themselves."""

    SPECIFICATION = MathBlockParser.SPECIFICATION | _bounded(
        {"multiline_math": MathBlockParser.MULTILINE_MATH}
    )


class _Formulas(MathInlineParser):
    """Finds formulas by pandoc's rule: no space inside the dollars, no digit behind them."""

    SPECIFICATION = _bounded(MathInlineParser.SPECIFICATION) | {
        "inline_math_tex": (
            r"(?s:(?<![$\\])\$(?=[^\s$])(?P<math_inline_tex>(?:[^$\\`]|\\.)+?)(?<!\s)\$(?![\d$]))"
        )
    }


class _Renderer(IPythonRenderer):
    """Marks the places of formulas, and writes out markup that a page doesn't have."""

    def __init__(self) -> None:
        super().__init__(escape=False)
        self.mark = f"formula-{secrets.token_hex(8)}"
        self.formulas: list[str] = []

    def inline_math(self, body: str) -> str:
        return self._later(body, f"${body}$")

    def block_math(self, body: str) -> str:
        return self._later(body, f"$${body}$$", block=True)

    def latex_environment(self, name: str, body: str) -> str:
        source = f"\\begin{{{name}}}{body}\\end{{{name}}}"
        return self._later(source, source, block=True)

    def _later(self, body: str, source: str, *, block: bool = False) -> str:
        self.formulas.append(formula(body, source, block=block))
        # The source stands in its place where only text can, such as in a heading's id.
        return f'<span class="{self.mark}-{len(self.formulas) - 1}">{escape(source)}</span>'

    def inline_html(self, html: str) -> str:
        return super().inline_html(html) if _known(html) else escape(html)

    def block_html(self, html: str) -> str:
        return super().block_html(html) if _known(html) else f"<pre>{escape(html)}</pre>\n"

    def block_mermaidjs(self, code: str) -> str:
        return f"<pre><code>{escape(code)}</code></pre>\n"

    def _embed_image_or_attachment(self, src: str) -> str:
        return src


def _known(html: str) -> bool:
    """Whether all tags in it are such as a page may have."""
    return all(tag.lower() in TAGS for tag in TAG.findall(html))
