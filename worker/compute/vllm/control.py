"""A vLLM server's own pages, as its documentation named them when 0.33 was the newest release.

`GET /health` and `GET /v1/models` are always there. `POST /sleep`, `/wake_up` and `/collective_rpc` are there in its
development mode only (`VLLM_SERVER_DEV_MODE=1` with `--enable-sleep-mode`), without any key: see
docs/how-to/serve-with-vllm.md.
"""

import time
from typing import Any, Final

from core.backends.exchange import Address
from core.domain.errors import StrataError, UnavailableError

_SUCCESS: Final = 200
_ASK_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.2


class VllmControl:
    """Speaks to one server.

    Args:
        address: ``http://host:port``, without ``/v1``.
        key: its API key, which it asks for below ``/v1``.
        act_seconds: longest time that a change of its weights may take.
    """

    def __init__(self, address: str, *, key: str | None, act_seconds: float) -> None:
        self._address = Address(address, token=key, timeout_seconds=act_seconds)
        self._act_seconds = act_seconds

    def names(self) -> set[str]:
        """Return the names under which it serves its model.

        Raises:
            UnavailableError: it does not answer.
        """
        self._get("/health")
        told = self._get("/v1/models")
        return {str(each["id"]) for each in told.get("data", ())}

    def await_name(self, name: str) -> None:
        """Wait until it is well and serves under ``name``.

        Raises:
            UnavailableError: it does not, in time.
        """
        deadline = time.monotonic() + self._act_seconds
        while not self._serves(name):
            if time.monotonic() >= deadline:
                raise UnavailableError("the server did not come back under the version's name in time")
            time.sleep(_POLL_SECONDS)

    def reload(self) -> None:
        """Read the weights anew from the folder that it was started with, while nobody is answered.

        Raises:
            UnavailableError: a step failed, or it is asleep afterwards.
        """
        self._post("/sleep?level=2")
        self._post("/wake_up?tags=weights")
        self._post("/collective_rpc", {"method": "reload_weights"})
        self._post("/wake_up?tags=kv_cache")
        if self._get("/is_sleeping").get("is_sleeping"):
            raise UnavailableError("the server is still asleep")

    def _serves(self, name: str) -> bool:
        try:
            return name in self.names()
        except StrataError:
            return False

    def _get(self, path: str) -> dict[str, Any]:
        with self._address.exchange("GET", path, timeout_seconds=_ASK_SECONDS) as answer:
            if answer.status != _SUCCESS:
                raise UnavailableError(f"the server answers {answer.status} to {path}")
            told = answer.json()
            return told if isinstance(told, dict) else {}

    def _post(self, path: str, body: dict[str, Any] | None = None) -> None:
        with self._address.exchange("POST", path, body) as answer:
            if answer.status != _SUCCESS:
                raise UnavailableError(f"the server answers {answer.status} to {path.partition('?')[0]}")
