"""Plain text of a Wikipedia page: sentences, headings and list items, each on lines of their own.

Left out are tables, templates such as infoboxes, references, formulas, pictures with their captions
and the sections that list sources. A few templates that stand for words in a sentence show them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

import mwparserfromhell
from mwparserfromhell.nodes import (
    ExternalLink,
    Heading,
    HTMLEntity,
    Node,
    Tag,
    Template,
    Text,
    Wikilink,
)  # fmt: skip

NO_TEXT = ("category:", "file:", "image:", "media:")
"""Links that show no text of the page: what it belongs to, and pictures with their captions."""
OTHER_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z-]+)?:")
NO_TAGS = frozenset(
    "chem gallery graph imagemap mapframe math ref references score source syntaxhighlight "
    "table templatestyles timeline".split()
)
LINE_TAGS = frozenset("blockquote br center dd div dl dt hr li ol p ul".split())
SHOWN = {
    "'s": ("'s",),
    "as of": ("As of ", 1),
    "convert": (1, " ", 2),
    "frac": (1, "/", 2),
    "lang": (2,),
    "nbsp": (" ",),
    "quote": (1,),
    "transl": (-1,),
    **dict.fromkeys(("angbr", "nihongo", "nowrap", "sc", "smaller", "vanchor"), (1,)),
}
"""Template -> the words it shows: text, or the place of one of its arguments, from 1."""
HIDDEN = re.compile(r"<!--.*?-->|<ref\b[^<>]*/>|<ref\b[^<>]*>.*?</ref>", re.DOTALL | re.IGNORECASE)
"""Comments and references; without them a page is parsed in less time, and its tags balance."""
SOURCES = frozenset(
    "bibliography,citations,external links,footnotes,further reading,notes,notes and references,"
    "references,see also,sources".split(",")
)
"""Sections that name other pages and books."""
LEFT_OVER = re.compile(r"\[\[(?:File|Image):|\{\||\|[}\-]|[|!]|</?\w[^>\n]{0,200}>\s*$")
"""How a line begins that is markup: a picture, a table, or one tag that lacks its other end."""


def plain(wikitext: str) -> str:
    r"""A page's text without markup; empty for a page of nothing else.

    >>> plain("'''Rome''' is a [[city|town]].<ref>Book</ref>\n{|\n|a||b\n|}\n* one\n* two")
    'Rome is a town.\n\none\ntwo'
    """
    parsed = mwparserfromhell.parse(HIDDEN.sub("", wikitext))
    shown = "".join(_shown(_without_sources(parsed.nodes)))
    # What a template left behind: brackets around nothing, and separators at their beginning.
    shown = re.sub(r"\(\s*(?:[;,]\s*)*\)", "", shown.replace("\xa0", " "))
    shown = re.sub(r"\(\s*(?:[;,]\s*)+", "(", shown)
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in shown.split("\n")]
    kept = [line for line in lines if not LEFT_OVER.match(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _without_sources(nodes: Iterable[Node]) -> Iterator[Node]:
    """Nodes outside sections that list sources; such a section ends at the next of its level."""
    hidden = 0
    for node in nodes:
        if isinstance(node, Heading) and (not hidden or node.level <= hidden):
            named = node.title.strip_code().strip().lower() in SOURCES
            hidden = node.level if named else 0
        if not hidden:
            yield node


def _shown(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Text):
            yield str(node.value)
        elif isinstance(node, Wikilink):
            yield from _link(node)
        elif isinstance(node, Tag):
            yield from _tag(node)
        elif isinstance(node, Template):
            yield from _template(node)
        elif isinstance(node, Heading):
            yield from ("\n\n", *_shown(node.title.nodes), "\n")
        elif isinstance(node, HTMLEntity):
            yield node.normalize()
        elif isinstance(node, ExternalLink):
            if node.title is not None:
                yield from _shown(node.title.nodes)
            elif not node.brackets:
                yield str(node.url)


def _link(node: Wikilink) -> Iterator[str]:
    title = str(node.title).strip()
    if not title.lower().startswith(NO_TEXT) and not OTHER_LANGUAGE.match(title):
        yield from _shown((node.title if node.text is None else node.text).nodes)


def _tag(node: Tag) -> Iterator[str]:
    name = str(node.tag).strip().lower()
    # A list item in wiki markup is a sign without contents, which stands at its line's beginning.
    if name not in NO_TAGS and not (node.wiki_markup and node.contents is None):
        line = "\n" if name in LINE_TAGS and not node.wiki_markup else ""
        yield line
        if node.contents is not None:
            yield from _shown(node.contents.nodes)
        yield "" if name == "br" else line


def _template(node: Template) -> Iterator[str]:
    name = str(node.name).strip().lower()
    rule: Sequence[str | int] = (1,) if name.startswith("lang-") else SHOWN.get(name, ())
    given = [parameter.value for parameter in node.params if not parameter.showkey]
    for part in rule:
        if isinstance(part, str):
            yield part
        elif abs(part) <= len(given):
            yield from _shown(given[part - (part > 0)].nodes)
