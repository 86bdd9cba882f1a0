"""The check of every call: whose key it shows, and whether that key opens the route."""

import hmac
from typing import Final

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request

from api.context import Context
from api.gate import Gate
from api.request_rates import RequestRates
from api.scopes import needed
from core.domain.access import Caller, Scope, looks_like_key
from core.domain.errors import ForbiddenError, UnauthenticatedError
from core.services import keys
from core.services.projects import DEFAULT_PROJECT_ID

# Who is on this machine while it asks for no keys.
_ANYBODY: Final = Caller(
    project_id=DEFAULT_PROJECT_ID, key_id=None, scopes=frozenset(Scope), max_requests_per_minute=None
)
_METRICS: Final = "GET /metrics"
_KEYS_OF_ADDRESSES: Final = frozenset({"access_token", "api_key", "apikey", "authorization", "key", "token"})


class Security:
    """The door of one API."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._registry = context.registry
        self._metrics_token = context.settings.metrics_token
        self._gate = gate
        self._rates = RequestRates()

    def admit(self, request: Request) -> Caller | None:
        """Return who calls, once they may; None on a route that answers everybody.

        Raises:
            UnauthenticatedError: no key, or one that opens nothing.
            ForbiddenError: the key lacks the route's scope.
            QuotaError: the project calls too often.
        """
        # HEAD is GET without the body; a route's path is told without how its parts are matched.
        method = "GET" if request.method == "HEAD" else request.method
        route = f"{method} {request.scope['route'].path_format}"
        scope = needed(route)
        if scope is None or (route == _METRICS and self._is_scraper(request.headers)):
            return None
        if not self._gate.look():
            return _ANYBODY
        caller = keys.authenticate(self._registry, key=_shown_key(request.headers, request.query_params))
        if caller.max_requests_per_minute is not None:
            self._rates.take(caller.project_id, per_minute=caller.max_requests_per_minute)
        if not caller.may(scope):
            raise ForbiddenError(f"this call needs a key with the scope '{scope}'")
        return caller

    def _is_scraper(self, headers: Headers) -> bool:
        token = self._metrics_token
        shown = headers.get("authorization", "").encode()
        return token is not None and hmac.compare_digest(shown, f"Bearer {token.get_secret_value()}".encode())


def _shown_key(headers: Headers, query: QueryParams) -> str:
    if any(name.lower() in _KEYS_OF_ADDRESSES or looks_like_key(value) for name, value in query.multi_items()):
        # Addresses end in logs and histories: a key that stood in one is everybody's.
        raise UnauthenticatedError("a key is read from the Authorization header only; replace one that was in a URL")
    shown = headers.getlist("authorization")
    scheme, _, key = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        raise UnauthenticatedError("show a key: Authorization: Bearer strata_…")
    return key.strip(" ")
