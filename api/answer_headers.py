"""What every answer carries, whoever gives it: a route, the door before the routes, or the protocol below them."""

from typing import Final

REQUEST_ID: Final = "x-request-id"
# A page of ours says in its own policy what it may load.
CONTENT_SECURITY_POLICY: Final = "content-security-policy"
STANDARD: Final[dict[str, str]] = {
    "x-content-type-options": "nosniff",
    CONTENT_SECURITY_POLICY: "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
CLOSE: Final[dict[str, str]] = {"connection": "close"}
