"""Texts of the Census in Markdown, as the UI reads it: by the rules of CommonMark, tables and strikethrough."""

from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from cxg_assets.ui.markdown import doi_link, escaped, table

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[free atlas](javascript:alert(1))",
    "![](http://127.0.0.1/who-looks.png)",
    "<http://127.0.0.1/>",
    "a | b",
    "a\\| b",
    "a\n\n# b\n\n<b>c</b>",
    "a\r\n| b | c |",
    "`a` **b** _c_ ~~d~~ $e$",
    "&lt;b&gt; &amp; &#60;b&#62;",
    "CD4+ T cell, alpha-beta (naïve)",
]


class Seen(HTMLParser):
    """Text, tags and links of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.links = "", [], []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def rendered(markdown: str) -> Seen:
    return Seen(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_is_text_in_its_cell_of_a_table_and_in_a_list(label: str) -> None:
    one_line = " ".join(label.split())

    seen = rendered(table(("label", "cells"), [(escaped(label), "1"), ("last", "2")]))
    assert set(seen.tags) == {"table", "thead", "tbody", "tr", "th", "td"}
    assert seen.text.split("\n").count(one_line) == 1
    assert seen.tags.count("tr") == 3

    listed = rendered(f"- {escaped(label)}, 1 cell")
    assert (listed.tags, listed.text.strip()) == (["ul", "li"], f"{one_line}, 1 cell")


@pytest.mark.parametrize(
    "doi", ["10.1101/2023.10.30.563174", "10.1016/s0140-6736(20)1", "x](javascript:alert(1))", *HOSTILE]
)
def test_a_doi_leads_to_its_registry_and_nowhere_else(doi: str) -> None:
    seen = rendered(doi_link(doi))
    assert seen.tags == ["p", "a"]
    [link] = seen.links
    assert link.startswith("https://doi.org/")
    assert seen.text.strip() == " ".join(doi.split())
