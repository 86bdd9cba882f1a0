"""The client: one object, one attribute a noun, over HTTP."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

import httpx

from strata.client.access import Keys, Projects
from strata.client.aliases import Aliases
from strata.client.events import Events
from strata.client.exports import Exports
from strata.client.generation import Generations
from strata.client.jobs import Jobs
from strata.client.resources import BaseModels, Datasets, Evaluations, Methods, Models, Versions
from strata.client.results import Generation, Health
from strata.client.tasks import Tasks
from strata.client.transport import Transport

DEFAULT_URL: Final = "http://127.0.0.1:8321"


class Client:
    """A running Strata service.

    ::

        with strata.Client() as client:
            client.models.create("helper", base_model="smollm2-135m-instruct")
            job = client.tasks.submit("helper", "train.jsonl", name="support-desk")
            client.jobs.wait(job.id)
            print(client.generate("helper", task="support-desk", input={"prompt": "…"}).text)

    Every call raises a `StrataAPIError` with a code, the places and what to do next.

    Args:
        base_url: the service's address.
        api_key: sent as a bearer token; a service on this machine needs none until it has one.
        transport: what carries the requests, for tests.
    """

    def __init__(
        self, base_url: str = DEFAULT_URL, api_key: str | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = Transport(base_url, api_key, transport)
        self.base_url = self._http.base_url
        self.base_models = BaseModels(self._http)
        self.models = Models(self._http)
        self.datasets = Datasets(self._http)
        self.tasks = Tasks(self._http)
        self.jobs = Jobs(self._http)
        self.versions = Versions(self._http)
        self.exports = Exports(self._http)
        self.aliases = Aliases(self._http)
        self.evaluations = Evaluations(self._http)
        self.methods = Methods(self._http)
        self.keys = Keys(self._http)
        self.projects = Projects(self._http)
        self.events = Events(self._http)
        self._generations = Generations(self._http)

    def generate(self, model: str, prompt: str | None = None, **fields: Any) -> Generation:
        """Return one answer; see `strata.client.generation.Generations.generate` for the fields."""
        return self._generations.generate(model, prompt, **fields)

    def stream(self, model: str, prompt: str | None = None, **fields: Any) -> Iterator[Generation]:
        """Yield an answer piece by piece; the fields are those of `generate`."""
        return self._generations.stream(model, prompt, **fields)

    def health(self) -> Health:
        """Return that the API answers."""
        return self._http.one(Health, "GET", "/healthz")

    def ready(self) -> Health:
        """Return how every part is: ``status`` is degraded unless all are well.

        Raises:
            ServiceUnavailableError: calls cannot be answered.
        """
        return self._http.one(Health, "GET", "/readyz")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
