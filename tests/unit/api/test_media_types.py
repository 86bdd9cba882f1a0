"""Which media type a caller is answered in."""

import pytest

from api.media_types import preferred

OFFERED = {"application/json": "json", "text/html": "html", "image/svg+xml": "svg"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/html", "html"),
        (BROWSER, "html"),
        ("Text/HTML ; Q=0.5", "html"),
        ("text/*", "html"),
        ("image/*", "svg"),
        ("text/html;q=0.5, application/json", "json"),
        ("text/html;q=0.5, application/json;q=0.4", "html"),
        ("*/*, application/json;q=0", "html"),
        ("text/html;q=0, */*;q=0.1", "json"),
        ("text/html;q=x, image/svg+xml;q=0.1", "svg"),
        ("audio/ogg", "json"),
        (",;,", "json"),
    ],
)
def test_what_is_wanted_most_is_given_and_the_first_if_nothing_is(accept: str, kind: str) -> None:
    assert preferred(accept, OFFERED) == kind
