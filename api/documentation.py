"""`/docs`: the description of the API as a page, which may load what it shows and nothing else."""

import base64
import hashlib
import re
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api import answer_headers

_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_VIEWER: Final = "https://cdn.jsdelivr.net"


def install(app: FastAPI) -> None:
    """Add the page."""
    page = get_swagger_ui_html(openapi_url=str(app.openapi_url), title=app.title, swagger_favicon_url="data:,")
    page.headers[answer_headers.CONTENT_SECURITY_POLICY] = _policy(bytes(page.body))

    def show(request: Request) -> HTMLResponse:
        del request
        return page

    app.add_route("/docs", show, include_in_schema=False)


def _policy(page: bytes) -> str:
    """Return the policy under which the page's own script and its viewer run."""
    hashes = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _SCRIPT.findall(page)]
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_VIEWER} " + " ".join(f"'sha256-{each}'" for each in hashes),
            f"style-src {_VIEWER} 'unsafe-inline'",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
