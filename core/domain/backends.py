"""Who answers: what a call asks for, what a backend can answer, and how an operator names backends."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

_UNIX = "unix:"

# An answer as it comes; closing it ends the answer where it is made.
Pieces = Generator[dict[str, Any]]


class Departure:
    """Whether a caller is gone, told to whoever works for them on another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_gone = False
        self._cut: Callable[[], None] | None = None

    @property
    def is_gone(self) -> bool:
        """Say whether nobody waits any more."""
        return self._is_gone

    def leave(self) -> None:
        """Note that the caller is gone, and cut short what is under way for them."""
        with self._lock:
            self._is_gone = True
            cut = self._cut
        if cut is not None:
            cut()

    @contextmanager
    def cuts(self, cut: Callable[[], None]) -> Iterator[None]:
        """Let ``cut``, which must not block, end what is done within: at once where the caller is gone already."""
        with self._lock:
            self._cut = cut
            is_gone = self._is_gone
        try:
            if is_gone:
                cut()
            yield
        finally:
            with self._lock:
                self._cut = None


@dataclass(frozen=True, slots=True)
class Question:
    """One request for an answer.

    Attributes:
        request: what the engine reads (`core.serving.requests.CompletionRequest`), its ``model`` a reference:
            ``<model id>:<alias>`` or a version's id.
        model_id: whose version it asks for.
        version_id: what the reference names as the registry stands.
        departure: tells when the caller is gone.
    """

    request: dict[str, object]
    model_id: str
    version_id: str
    departure: Departure


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A version that answers now, under these aliases and under its id."""

    version_id: str
    model_id: str | None
    aliases: frozenset[str] = frozenset()

    def answers(self, question: Question) -> bool:
        """Say whether it is what is asked for."""
        reference = str(question.request["model"])
        if self.model_id is not None and self.aliases and ":" in reference:
            return reference in {f"{self.model_id}:{alias}" for alias in self.aliases}
        return self.version_id == question.version_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a backend says that it can answer.

    Attributes:
        live: the versions that answer now.
        loads: whether it loads others when they are asked for.
        requests: how many it is answering for all its callers, as far as it tells.
    """

    live: tuple[Live, ...]
    loads: bool
    requests: int = 0

    def has(self, question: Question) -> bool:
        """Say whether the version that is asked for is live."""
        return any(each.answers(question) for each in self.live)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a backend is.

    Attributes:
        fault: the code of what is wrong with it; None where it answers.
        requests: how many this process has there.
        failovers: how many this process took elsewhere because it could not begin to answer.
    """

    fault: str | None
    requests: int = 0
    failovers: int = 0


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
    address: str
    models: Annotated[frozenset[Annotated[str, Field(pattern=r"^mdl_\w+$")]], Field(min_length=1)] | None = None


class EngineEntry(_Entry):
    """An engine of this service, or what speaks as one.

    Attributes:
        address: ``unix:<socket path>``, or ``http://host:port`` with the shared secret.
        models: ids of the models that it is asked for; None for all.
    """

    kind: Literal["engine"]

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        if not (self.address.startswith(_UNIX) and len(self.address) > len(_UNIX)):
            _require_http(self.address, schemes={"http"})
        return self


class OpenAIEntry(_Entry):
    """A server that speaks OpenAI's API: it answers by versions that somebody gave it, under names of its own.

    Attributes:
        address: up to and without ``/completions``, e.g. ``http://gpu-1:8000/v1``.
        serves: ids of versions and the name that the server knows each by.
        key: its API key.
        dialect: what it understands beyond OpenAI's own fields.
    """

    kind: Literal["openai"]
    serves: Annotated[
        dict[Annotated[str, Field(pattern=r"^ver_\w+$")], Annotated[str, Field(min_length=1)]], Field(min_length=1)
    ]
    key: SecretStr | None = None
    dialect: Literal["openai", "vllm"] = "openai"

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        _require_http(self.address, schemes={"http", "https"})
        return self


BackendEntry = Annotated[EngineEntry | OpenAIEntry, Field(discriminator="kind")]


class VllmFleet(BaseModel):
    """vLLM servers that answer for one alias (docs/how-to/serve-with-vllm.md).

    Attributes:
        follows: ``<model id>:<alias>``.
        servers: their addresses, ``http://host:port``; they are changed in this order.
        key: API key of all of them.
        change: how a server gets another version: ``restart_command``, or vLLM's development endpoints.
        restart_command: starts the server at ``$VLLM_ADDRESS`` again, on the folder ``$VLLM_MODEL`` under the name
            ``$VLLM_SERVED_MODEL_NAME``, and ends once it was started.
        snapshots_dir: folder of merged versions, which the servers see under the same path; None for the data folder's.
        drain_seconds: how long a server that is about to change goes on with answers under way.
        change_seconds: longest time that a server may take until it answers by another version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    follows: Annotated[str, Field(pattern=r"^mdl_\w+:[a-z0-9][a-z0-9-]*$")]
    servers: Annotated[tuple[str, ...], Field(min_length=1)]
    key: SecretStr | None = None
    change: Literal["restart", "in_place"] = "restart"
    restart_command: str = ""
    snapshots_dir: Path | None = None
    drain_seconds: Annotated[float, Field(gt=0)] = 120.0
    change_seconds: Annotated[float, Field(gt=0)] = 900.0

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        for address in self.servers:
            _require_http(address, schemes={"http", "https"})
        if self.change == "restart" and not self.restart_command.strip():
            raise ValueError("change by restart needs restart_command")
        if self.snapshots_dir is not None and not self.snapshots_dir.is_absolute():
            raise ValueError("snapshots_dir must be an absolute path")
        return self


def require_consistent(entries: Sequence[BackendEntry], *, has_secret: bool) -> None:
    """Check that each has a name of its own, and each engine on TCP the secret by which it knows its callers.

    Raises:
        ValueError: they have not.
    """
    names = [entry.name for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError("backends must have names of their own")
    engines = [entry for entry in entries if isinstance(entry, EngineEntry)]
    if not has_secret and not all(is_socket(entry.address) for entry in engines):
        raise ValueError("an engine on TCP needs engine_secret")


def is_socket(address: str) -> bool:
    """Say whether an address is a socket's path."""
    return address.startswith(_UNIX)


def _require_http(address: str, *, schemes: set[str]) -> None:
    parts = urlsplit(address)
    if parts.scheme not in schemes or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError(
            f"the address must be {' or '.join(sorted(schemes))}://host:port, or a socket where it may be one"
        )
