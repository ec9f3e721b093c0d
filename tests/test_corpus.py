"""Running text: documents of files, folders and tables, each once."""

import json
import re

import pytest

from workbench.core.errors import DataError
from workbench.data import corpus, repairs, text, wikitext


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def counts(found):
    return {name: issue.count for name, issue in found.data_issues.items() if issue.count}


@pytest.mark.parametrize(
    "content",
    [
        "One.\nTwo lines.\n\nSecond\n",
        "\n\nOne.\nTwo lines.\n\n\n\nSecond",
        "One.\r\nTwo lines.\r\n\r\nSecond\r\n",
        "One.\nTwo lines.\n  \t\nSecond\n",
        "\ufeffOne.\nTwo lines.\n\nSecond",
    ],
    ids=["plain", "more blank lines", "CRLF", "spaces", "byte order mark"],
)
def test_blank_lines_part_the_documents_of_a_file(tmp_path, content):
    found = corpus.load(write(tmp_path / "a.txt", content))
    assert sorted(found.documents) == ["One.\nTwo lines.", "Second"]
    assert counts(found) == {}
    assert "2 documents, 21 bytes" in found.describe()


def test_each_file_of_a_folder_is_a_document(tmp_path):
    write(tmp_path / "a.txt", "First\n\nand its second paragraph")
    write(tmp_path / "b.txt", "Other")
    write(tmp_path / "notes.md", "not read")
    found = corpus.load(str(tmp_path))
    assert sorted(found.documents) == ["First\n\nand its second paragraph", "Other"]


def test_a_tables_column_holds_the_documents(tmp_path):
    rows = [{"body": words} for words in ("Hello there", "Other", None, "  ", "HELLO  there")]
    path = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = corpus.load(path, text_column="body")
    assert sorted(found.documents) == ["Hello there", "Other"]
    assert counts(found) == {"repeated": 3}, "what is empty is lost too"
    assert "empty and repeated documents, dropped: 3 of 5 (60.00%)" in found.describe()
    lines = "body,more\nHello there,1\nOther,2\n"
    table = corpus.load(write(tmp_path / "b.csv", lines), text_column="body")
    assert table.documents == found.documents
    with pytest.raises(DataError, match="no column 'text'; its columns: body, more"):
        corpus.load(str(tmp_path / "b.csv"))


def test_all_splits_of_a_folder_are_read(tmp_path):
    for split in ("train", "validation", "test"):
        write(tmp_path / f"{split}.csv", f"text,label\nof {split},a\nof all,a\n")
    found = corpus.load(str(tmp_path))
    assert sorted(found.documents) == ["of all", "of test", "of train", "of validation"]
    assert counts(found) == {"repeated": 2}


@pytest.mark.parametrize("content", ["", "\n\n \n", "\ufeff"])
def test_no_text_is_an_error(tmp_path, content):
    with pytest.raises(DataError, match="has no text(.|\n)*at least one document"):
        corpus.load(write(tmp_path / "a.txt", content))


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(DataError, match="is no table"):
        corpus.load(write(tmp_path / "a.pdf", "%PDF"))


def test_bad_encodings_are_repaired_and_counted(tmp_path):
    content = "café one\n".encode("latin-1") * 4 + "\nschÃ¶n &amp; gut\n\nplain".encode()
    found = corpus.load(write(tmp_path / "a.txt", content))
    assert sorted(found.documents) == ["\n".join(["café one"] * 4), "plain", "schön & gut"]
    assert counts(found) == {"recoded": 4, "repaired": 1}
    assert "read as Latin-1: 4 of 8 (50.00%)" in found.describe(), "lines of lines"
    assert all(0 <= issue.count <= issue.of for issue in found.data_issues.values())


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (r"I'm sick.\nShe wants it", "I'm sick.\nShe wants it"),
        (r"ready\n\ngive her", "ready\n\ngive her"),
        (r"one\r\nTwo\t3", "one\n\nTwo\t3"),
        (r"it costs \$5", "it costs $5"),
        (r"C:\new\table, \nu, \%", r"C:\new\table, \nu, \%"),
        (r"print('x\n')", r"print('x\n')"),
    ],
)
def test_literal_escapes_become_what_they_stand_for(tmp_path, given, wanted):
    assert repairs.unescape(given) == wanted
    found = corpus.load(write(tmp_path / "a.csv", f'text\n"{given}"\nplain\n'))
    assert wanted in found.documents or "\r" in given
    assert counts(found) == ({"escaped": 1} if given != wanted else {})


def test_the_first_documents_are_a_sample_that_more_only_add_to(tmp_path):
    words = [f"document {number}" for number in range(50)]
    few = corpus.load(write(tmp_path / "a.txt", "\n\n".join(words[:40]))).documents
    more = corpus.load(write(tmp_path / "b.txt", "\n\n".join(reversed(words)))).documents
    assert [document for document in more if document in set(few)] == few
    assert few != words[:40]


def test_wikipedia_is_articles_without_markup():
    found = corpus.load("wiki_sample")
    assert len(found.documents) == 106
    assert {**counts(found), "markup": 0} == {"short": 100, "markup": 0}
    whole = "\n".join(found.documents)
    assert not re.search(r"(?m)^(#redirect|category:|==)", whole, re.IGNORECASE)
    markup = re.findall(r"\[\[|\]\]|\{\{|\}\}|'''|</?ref|\bthumb\|", whole)
    assert len(markup) <= 20, "little is left, where brackets in the source are unbalanced"
    assert "awardsAwards" not in whole
    assert "CategoryNameSuperlativeNotes" not in whole
    assert 0.3 < found.data_issues["markup"].count / found.data_issues["markup"].of < 0.6
    anarchism = next(page for page in found.documents if page.startswith("Anarchism is"))
    assert "political philosophy that advocates self-governed societies" in anarchism[:200]
    assert all(len(page) >= corpus.MIN_CHARACTERS for page in found.documents)


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [
        ("{| class=x\n! A !! B\n|-\n| c || d\n|}\nText.", "Text."),
        ("{{Infobox x\n| a = [[b]]\n| c = {{d|e}}\n}}\nText.", "Text."),
        ("A[[File:x.jpg|thumb|A [[picture]].]] b.", "A b."),
        ("[[Category:X]]A [[city|town]] and a [[village]].", "A town and a village."),
        ("A<ref>B [[c]]</ref> d<ref name=e/>.<!-- f -->", "A d."),
        ("One:\n* two\n* three\n# four", "One:\ntwo\nthree\nfour"),
        ("<ul><li>two</li><li>three</li></ul>", "two\n\nthree"),
        ("A.\n== B ==\nC.\n=== D ===\nE.", "A.\n\nB\n\nC.\n\nD\n\nE."),
        ("A.\n== References ==\nB.\n=== C ===\nD.\n== E ==\nF.", "A.\n\nE\n\nF."),
        ("A ({{IPAc-en|b}}; {{lang|fr|c}}) is {{convert|5|km|mi}} away.", "A (c) is 5 km away."),
        ("A [http://b.c d] e [http://f.g].", "A d e ."),
        ("'''A''' &amp; ''b'' x<sup>2</sup> {{cite|c}}", "A & b x2"),
        ("[[fr:A]][[de:B|C]]D: e", "D: e"),
    ],
)
def test_wikitext_becomes_sentences_headings_and_list_items(marked, wanted):
    assert wikitext.plain(marked) == wanted


def test_news_are_three_hundred_texts_each_once():
    found = corpus.load("news_sample")
    assert len(found.documents) == 293
    assert found.data_issues["repeated"].model_dump(include={"count", "of"}) == {
        "count": 7,
        "of": 300,
    }
    assert "not to be redistributed" in found.describe()


def test_labelled_texts_are_a_corpus_too():
    reviews = text.load("tiny_reviews")
    labelled = {words for split in reviews.splits.values() for words in split["text"]}
    assert labelled <= set(corpus.load("tiny_reviews").documents)
