"""Markdown as a reader of cards shows it, and texts that would be something else there."""

from html.parser import HTMLParser

from markdown_it import MarkdownIt

HOSTILE = "</script><img src=x onerror=alert(1)>"
WORSE = "a|b `c` **d** _e_ [f](http://g.example) ![h](i.png) $j$ ~~k~~\n\n# l\n---\n<!-- m"


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def rendered(markdown: str) -> Page:
    """The page that a reader of cards, which passes HTML on as it is, makes of Markdown."""
    return Page(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))
