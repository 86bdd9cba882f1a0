"""What users import: the client of a running service, loaded on first use so that `import strata` costs nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strata.client import Client, StrataAPIError

__all__ = ["Client", "StrataAPIError"]


def __getattr__(name: str) -> object:
    """Import a public name from `strata.client` the first time it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'strata' has no attribute {name!r}")
    from strata import client

    return getattr(client, name)
