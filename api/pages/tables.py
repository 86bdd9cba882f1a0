"""Tables: the numbers of a page for those who read, or listen to, what others see."""

from collections.abc import Iterable, Sequence

from api.pages.markup import Markup, element

# What a cell holds, and by which class it is shown, if by one.
Content = str | Markup


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Content]], *, numbers_from: int = 1) -> Markup:
    """Return a table whose rows begin with their names; columns from ``numbers_from`` on hold numbers."""

    def kind(n: int) -> str | None:
        return "number" if n >= numbers_from else None

    titles = (element("th", title, scope="col", class_=kind(n)) for n, title in enumerate(head))
    body = (
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell, class_=kind(n)) for n, cell in enumerate(row[1:], start=1)),
        )
        for row in rows
    )
    whole = element(
        "table", element("caption", caption), element("thead", element("tr", *titles)), element("tbody", *body)
    )
    return element("div", whole, class_="wide")


def words_table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Content]]) -> Markup:
    """Return a table that holds words."""
    return table(caption, head, rows, numbers_from=len(head))


def facts(pairs: Iterable[tuple[str, Content]]) -> Markup:
    """Return names and what they stand for."""
    return element(
        "dl", *(part for name, value in pairs for part in (element("dt", name), element("dd", value))), class_="facts"
    )


def folded(summary: str, *content: Markup) -> Markup:
    """Return what is shown when its summary is opened."""
    return element("details", element("summary", summary), *content)
