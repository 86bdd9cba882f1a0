"""Whether the service asks for keys at all: it is open to this machine until the first one is made."""

from typing import Final

from api.hosts import is_loopback
from core.domain.errors import StrataError
from core.registry.work import Registry
from core.services import keys
from core.settings import Settings

_CLOSED: Final = (
    "the API would listen on {host} while the registry holds no key, and anybody who reaches it could do anything: "
    "make a key with `python -m api.keys create NAME --scope admin`, or set STRATA_API_HOST to 127.0.0.1"
)


class Gate:
    """Remembers that keys are asked for; nothing ever opens the gate again, revoking the last key neither.

    Attributes:
        asks_for_keys: what is known so far.
    """

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.asks_for_keys = settings.require_keys == "always"
        self._host = settings.api_host
        self._registry = registry

    def look(self) -> bool:
        """Return whether keys are asked for, by the registry as it is now.

        Raises:
            UnavailableError: the registry is away.
        """
        if not self.asks_for_keys:
            with self._registry.read() as work:
                self.asks_for_keys = keys.any_exist(work)
        return self.asks_for_keys

    def require_safe_start(self) -> None:
        """Check that an API without keys can be reached from this machine only.

        Raises:
            StrataError: ``invalid_settings``.
        """
        if not self.look() and not is_loopback(self._host):
            raise StrataError(_CLOSED.format(host=self._host), code="invalid_settings")
