"""HTTP as the client speaks it: one request in, checked JSON or an error of `strata.client.errors` out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from strata.client.errors import ServiceUnreachableError, StrataAPIError, UnexpectedAnswerError, from_problem

M = TypeVar("M", bound=BaseModel)

TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
# Streams are silent between a heartbeat and the next; the service sends one far more often than this.
STREAM_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
PAGE_ROWS: Final = 100


class Transport:
    """A connection pool to one service."""

    def __init__(self, base_url: str, api_key: str | None, transport: httpx.BaseTransport | None) -> None:
        headers = {"User-Agent": "strata-client"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self.base_url = base_url.rstrip("/")
        # Proxies of the environment are for the world outside; the service is named by its address.
        self._http = httpx.Client(
            base_url=self.base_url, headers=headers, timeout=TIMEOUT, transport=transport, trust_env=False
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, method: str, path: str, **request: Any) -> Any:
        """Return the decoded JSON of the answer.

        Raises:
            StrataAPIError: there was no answer, or one that is not 2xx.
        """
        with self._errors_named():
            response = self._http.request(method, path, **request)
        return self._body(response)

    def text(self, path: str, params: Mapping[str, Any]) -> str:
        """Return a document that is not JSON, as it was sent.

        Raises:
            StrataAPIError: as `call`.
        """
        with self._errors_named():
            response = self._http.get(path, params=params)
        if not response.is_success:
            self._body(response)
        return response.text

    def one(self, kind: type[M], method: str, path: str, **request: Any) -> M:
        """Return the answer as a ``kind``."""
        return self.parsed(kind, self.call(method, path, **request))

    def pages(self, kind: type[M], path: str, params: Mapping[str, Any], *, limit: int | None) -> Iterator[M]:
        """Yield the rows of a list, page after page, ``limit`` at most."""
        left, after = limit, None
        while left is None or left > 0:
            size = PAGE_ROWS if left is None else min(left, PAGE_ROWS)
            query = {
                name: value for name, value in {**params, "limit": size, "after": after}.items() if value is not None
            }
            page = self.call("GET", path, params=query)
            rows = page["data"]
            yield from (self.parsed(kind, row) for row in rows)
            if not page.get("has_more") or not rows:
                return
            after = page.get("last_id") or rows[-1]["id"]
            left = None if left is None else left - len(rows)

    @contextmanager
    def stream(self, method: str, path: str, **request: Any) -> Iterator[Iterator[bytes]]:
        """Hold a response open and give its bytes as they come.

        Raises:
            StrataAPIError: as `call`; also when the connection breaks between two bytes.
        """
        with (
            self._errors_named(),
            self._http.stream(method, path, timeout=STREAM_TIMEOUT, **request) as response,
        ):
            if not response.is_success:
                response.read()
                self._body(response)
            yield response.iter_bytes()

    @contextmanager
    def file(self, path: str, *, offset: int, etag: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Hold a download open from byte ``offset`` on, if the content is still that of ``etag``, else from the start.

        Gives the number of the first byte that comes, and the bytes as they come.

        Raises:
            StrataAPIError: as `call`; also when the connection breaks between two bytes.
        """
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-", "If-Range": etag} if offset else {})
        with (
            self._errors_named(),
            self._http.stream("GET", path, timeout=STREAM_TIMEOUT, headers=headers) as response,
        ):
            if not response.is_success:
                response.read()
                self._body(response)
            yield (offset if response.status_code == httpx.codes.PARTIAL_CONTENT else 0), response.iter_bytes()

    def parsed(self, kind: type[M], body: Any) -> M:
        """Return ``body`` as a ``kind``; unknown fields are kept."""
        try:
            return kind.model_validate(body)
        except ValidationError as error:
            raise UnexpectedAnswerError(f"{self.base_url} sent a {kind.__name__} that cannot be read") from error

    def _body(self, response: httpx.Response) -> Any:
        try:
            body = response.json() if response.content else None
        except ValueError:
            body = None
        if not response.is_success:
            raise from_problem(response.status_code, body, address=self.base_url)
        if body is None and response.content:
            raise UnexpectedAnswerError(f"{self.base_url} did not answer with JSON", status=response.status_code)
        return body

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except StrataAPIError:
            raise
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise ServiceUnreachableError(f"no answer from {self.base_url}: {error or type(error).__name__}") from error
