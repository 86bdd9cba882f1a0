"""Builds the backends that an operator names."""

from collections.abc import Sequence

from pydantic import SecretStr

from core.backends.engine import EngineClient
from core.backends.member import Member
from core.backends.openai_server import OpenAIServer
from core.backends.pool import Pool
from core.domain.backends import BackendEntry, EngineEntry, is_socket
from core.domain.ports import Backend


def pool(
    entries: Sequence[BackendEntry], *, engine_secret: SecretStr | None, timeout_seconds: float, poll_seconds: float
) -> Pool:
    """Return the backends of ``entries`` behind one door; none is spoken to yet.

    Args:
        entries: who answers, and for which models.
        engine_secret: shared with engines on TCP.
        timeout_seconds: longest wait for the next bytes of an answer.
        poll_seconds: between two looks at a backend.
    """
    secret = engine_secret.get_secret_value() if engine_secret else None
    members = [
        Member(entry.name, _backend(entry, secret=secret, timeout_seconds=timeout_seconds), models=entry.models)
        for entry in entries
    ]
    return Pool(members, poll_seconds=poll_seconds)


def _backend(entry: BackendEntry, *, secret: str | None, timeout_seconds: float) -> Backend:
    if isinstance(entry, EngineEntry):
        shown = None if is_socket(entry.address) else secret
        return EngineClient(entry.address, secret=shown, timeout_seconds=timeout_seconds)
    return OpenAIServer(
        entry.address,
        serves=entry.serves,
        key=entry.key.get_secret_value() if entry.key else None,
        dialect=entry.dialect,
        timeout_seconds=timeout_seconds,
    )
