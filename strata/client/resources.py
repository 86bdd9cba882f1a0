"""The calls on what is kept: base models, models, datasets, versions, evaluations and methods."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from strata.client.report_results import ModelReport
from strata.client.results import BaseModelInfo, Dataset, Job, Method, Model, Version
from strata.client.score_results import ScoreMatrix, VersionScores
from strata.client.transport import Transport
from strata.client.uploads import Rows, upload


class BaseModels:
    """`/v1/base-models`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def add(self, name: str, source: str) -> BaseModelInfo:
        """Allow a base model and queue its inspection.

        ``source`` is ``wheel:<distribution>``, ``folder:<absolute path>`` or ``hub:<org/name>@<revision>``.
        """
        return self._http.one(BaseModelInfo, "POST", "/v1/base-models", json={"name": name, "source": source})

    def get(self, name: str) -> BaseModelInfo:
        """Return one by its name."""
        return self._http.one(BaseModelInfo, "GET", f"/v1/base-models/{_part(name)}")

    def list(self, *, limit: int | None = None) -> Iterator[BaseModelInfo]:
        """Yield all, ready or not."""
        return self._http.pages(BaseModelInfo, "/v1/base-models", {}, limit=limit)


class Models:
    """`/v1/models`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def create(
        self,
        name: str,
        *,
        base_model: str,
        method: str | Mapping[str, Any] | None = None,
        policy: Mapping[str, Any] | None = None,
    ) -> Model:
        """Create a model; ``name@0``, the base itself, answers at once."""
        body = {"name": name, "base_model": base_model, "method": method, "policy": policy}
        return self._http.one(Model, "POST", "/v1/models", json=_given(body))

    def report(self, model: str) -> ModelReport:
        """Return what a model learned, what it still knows, and from what it was made."""
        return self._http.one(ModelReport, "GET", f"/v1/models/{_part(model)}/report", params={"format": "json"})

    def report_document(self, model: str, *, format: Literal["html", "svg"]) -> str:  # noqa: A002 - the service's word
        """Return the report as one page that loads nothing (``html``), or its figures as a drawing (``svg``)."""
        return self._http.text(f"/v1/models/{_part(model)}/report", {"format": format})

    def get(self, model: str) -> Model:
        """Return one by its name or id."""
        return self._http.one(Model, "GET", f"/v1/models/{_part(model)}")

    def list(self, *, limit: int | None = None) -> Iterator[Model]:
        """Yield all."""
        return self._http.pages(Model, "/v1/models", {}, limit=limit)

    def change_gate(self, model: str, **fields: Any) -> Model:
        """Change what the model's versions must show, e.g. ``max_single_drop=0.4``; what is not given stays."""
        return self._http.one(Model, "PATCH", f"/v1/models/{_part(model)}", json={"policy": {"gate": fields}})

    def delete(self, model: str) -> None:
        """Delete a model by its name or id."""
        self._http.call("DELETE", f"/v1/models/{_part(model)}")


class Datasets:
    """`/v1/datasets`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def create(self, file: Path | str | None = None, *, rows: Rows | None = None) -> Dataset:
        """Upload a file or rows; the same content again is the same dataset.

        Raises:
            InvalidRequestError: rows are not acceptable; its places name the lines.
        """
        with upload(file, rows) as part:
            return self._http.one(Dataset, "POST", "/v1/datasets", files={"file": part})

    def get(self, dataset_id: str) -> Dataset:
        """Return one."""
        return self._http.one(Dataset, "GET", f"/v1/datasets/{_part(dataset_id)}")

    def list(self, *, limit: int | None = None) -> Iterator[Dataset]:
        """Yield all."""
        return self._http.pages(Dataset, "/v1/datasets", {}, limit=limit)

    def report(self, dataset_id: str) -> dict[str, Any]:
        """Return the validation report."""
        body: dict[str, Any] = self._http.call("GET", f"/v1/datasets/{_part(dataset_id)}/report")
        return body

    def preview(self, dataset_id: str, *, question: str | None = None, options: Iterable[str] = ()) -> dict[str, Any]:
        """Return the first rendered examples, with the part that is learned marked."""
        query = _given({"question": question, "options": list(options) or None})
        body: dict[str, Any] = self._http.call("GET", f"/v1/datasets/{_part(dataset_id)}/preview", params=query)
        return body

    def delete(self, dataset_id: str) -> None:
        """Delete one that no task uses."""
        self._http.call("DELETE", f"/v1/datasets/{_part(dataset_id)}")


class Versions:
    """`/v1/versions` and a model's versions."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def get(self, version: str) -> Version:
        """Return one by its id, ``name@3`` or ``name:alias``."""
        return self._http.one(Version, "GET", f"/v1/versions/{_part(version)}")

    def list(self, model: str, *, limit: int | None = None) -> Iterator[Version]:
        """Yield a model's versions."""
        return self._http.pages(Version, f"/v1/models/{_part(model)}/versions", {}, limit=limit)

    def delete(self, version: str) -> None:
        """Delete one that no alias, version or open job needs."""
        self._http.call("DELETE", f"/v1/versions/{_part(version)}")

    def rebuild(
        self,
        model: str,
        *,
        leave_out: Sequence[str],
        version: str | None = None,
        expected_parent: str | None = None,
        promote: bool = True,
        timeout_seconds: int | None = None,
    ) -> Job:
        """Queue a job that builds a version without some tasks, by names or ids, of `latest` or of ``version``.

        Its ``rebuild`` says, once it is over, what that changed; ``promote=False`` leaves `latest` where it is.
        """
        body = {
            "leave_out": list(leave_out),
            "version": version,
            "expected_parent": expected_parent,
            "promote": promote,
            "timeout_seconds": timeout_seconds,
        }
        return self._http.one(Job, "POST", f"/v1/models/{_part(model)}/versions", json=_given(body))

    def lineage(self, model: str) -> dict[str, Any]:
        """Return the graph of the model's versions and tasks."""
        body: dict[str, Any] = self._http.call("GET", f"/v1/models/{_part(model)}/lineage")
        return body


class Evaluations:
    """`/v1/models/{model}/evaluations` and `/v1/versions/{version}/evaluations`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def matrix(self, model: str) -> ScoreMatrix:
        """Return the score matrix of the model's current lineage."""
        return self._http.one(ScoreMatrix, "GET", f"/v1/models/{_part(model)}/evaluations")

    def of_version(self, version: str, *, against: str | None = None) -> VersionScores:
        """Return every score of a version; ``against`` names another of the model, with which each is compared."""
        path = f"/v1/versions/{_part(version)}/evaluations"
        return self._http.one(VersionScores, "GET", path, params=_given({"against": against}))


class Methods:
    """`/v1/methods`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def list(self) -> tuple[Method, ...]:
        """Return every method that can be asked for, with its settings."""
        return tuple(self._http.parsed(Method, row) for row in self._http.call("GET", "/v1/methods")["data"])


def _part(name: str) -> str:
    """Return a name as one segment of a path."""
    return quote(name, safe="@:")


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given: what is None is left to the service."""
    return {name: value for name, value in values.items() if value is not None}
