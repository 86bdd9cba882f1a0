"""What an upload must hold, on top of being readable."""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

from api import bodies
from api.context import Context
from api.multipart import Form, FormReader, Limits, ReceivedFile
from api.schemas.tasks import EstimateRequest, TaskFields, TaskRequest
from core.datasets import rows
from core.datasets.containers import container
from core.datasets.split import refuse_leak
from core.domain import strict_json
from core.domain.errors import InvalidError, MalformedError, Place
from core.domain.records import Dataset
from core.services import datasets
from core.storage import space

F = TypeVar("F", bound=TaskFields)
# Format of a file, and a digest of each of its rows.
_Rows = tuple[str, Sequence[int]]

TEXTS: Final = ("model", "name", "spec", "dataset_id", "eval_dataset_id", "expected_parent", "dry_run")
_FLAGS: Final = {"true": True, "false": False}
FILES: Final = ("file", "eval_file")

FILE_SCHEMA: Final = {
    "type": "string",
    "format": "binary",
    "description": "JSON Lines, CSV or Parquet, by the part's media type or else its file name.",
}
_TEXT_SCHEMA: Final = {"type": "string"}


def multipart_body(properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """Return how OpenAPI describes a form of these parts."""
    schema = {"type": "object", "additionalProperties": False, "required": [*required], "properties": {**properties}}
    return {"multipart/form-data": {"schema": schema}}


_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_SHA256_SCHEMA: Final = {
    "type": "string",
    "pattern": "^[0-9a-f]{64}$",
    "description": "Of the file, in hex: another file is refused.",
}
DATASET_PARTS: Final = {"file": FILE_SCHEMA, "sha256": _SHA256_SCHEMA}
DATASET_BODY: Final = {"requestBody": {"required": True, "content": multipart_body(DATASET_PARTS, ["file"])}}
_FORM: Final = {
    **dict.fromkeys(FILES, FILE_SCHEMA),
    **dict.fromkeys(TEXTS, _TEXT_SCHEMA),
    "spec": {"type": "string", "description": "A TaskSpec as JSON."},
    "dry_run": {"type": "string", "enum": [*_FLAGS]},
}


def _task_body(request: type[TaskFields], required: Sequence[str]) -> dict[str, Any]:
    content = {**multipart_body(_FORM, required), **bodies.described(request)["requestBody"]["content"]}
    return {"requestBody": {"required": True, "content": content}}


TASK_BODY: Final = _task_body(TaskRequest, ["model", "name"])
ESTIMATE_BODY: Final = _task_body(EstimateRequest, ["model"])


def form(
    context: Context, *, files: tuple[str, ...], texts: tuple[str, ...] = ()
) -> AbstractContextManager[FormReader]:
    """Open a reader of multipart bodies within the service's limits.

    Raises:
        NoRoomError: ``disk_full``: less is free than must remain.
    """
    settings = context.settings
    # The reserve is larger than an upload: who begins with it free can end.
    space.require_free(settings.uploads_dir, expected_bytes=0, reserve_bytes=settings.min_free_bytes)
    limits = Limits(max_bytes=settings.upload_max_bytes, max_rows=settings.max_rows)
    return FormReader.open(settings.uploads_dir, files=files, texts=texts, limits=limits)


def require_file(received: Form) -> Mapping[str, ReceivedFile]:
    """Return the files of a form that must have a `file`.

    Raises:
        InvalidError: it has none, or not that of the `sha256` that is given.
    """
    if "file" not in received.files:
        raise _missing("file", "the part is missing")
    if "sha256" in received.texts:
        _require_sha256(received.files["file"], _text("sha256", received.texts["sha256"]))
    return received.files


def require_word(received: Form, part: str, allowed: Sequence[str]) -> str:
    """Return the text of a part that must be one of a few words.

    Raises:
        InvalidError: it is missing, or another word.
    """
    if part not in received.texts:
        raise _missing(part, "the part is missing")
    word = _text(part, received.texts[part])
    if word not in allowed:
        raise _missing(part, f"must be {' or '.join(allowed)}: nothing else is kept here")
    return word


def task_fields(received: Form, *, kind: type[F]) -> F:
    """Return what the texts of a form say of a task.

    Raises:
        InvalidError: with the place of each field that cannot be, or where rows are named twice or not at all.
    """
    values: dict[str, Any] = {
        name: strict_json.loads(text, loc=(name,)) if name == "spec" else _text(name, text)
        for name, text in received.texts.items()
    }
    if "dry_run" in values:
        values["dry_run"] = _FLAGS.get(values["dry_run"], values["dry_run"])
    fields = bodies.parse(values, kind)
    if ("file" in received.files) == (fields.dataset_id is not None):
        raise _missing("file", "give either a file or a dataset_id")
    if "eval_file" in received.files and fields.eval_dataset_id is not None:
        raise _missing("eval_file", "give either an eval_file or an eval_dataset_id")
    return fields


def check_evaluation(
    context: Context, fields: TaskFields, files: Mapping[str, ReceivedFile], *, project_id: str
) -> None:
    """Check that the evaluation rows, if a task brings any, are of its format and not among its training rows.

    Raises:
        InvalidError: ``leak`` or ``invalid_dataset``.
        MissingError: a dataset that the task names is not there.
    """
    part = "eval_file" if "eval_file" in files else "eval_dataset_id"
    if part not in files and fields.eval_dataset_id is None:
        return
    train = _side(context, files.get("file"), fields.dataset_id, project_id=project_id)
    evaluation = _side(context, files.get("eval_file"), fields.eval_dataset_id, project_id=project_id)
    _require_apart(train, evaluation, part=part)


def check_stored_evaluation(context: Context, dataset_id: str, eval_dataset_id: str, *, project_id: str) -> None:
    """Do what `check_evaluation` does, for two datasets that are already here."""
    train = _side(context, None, dataset_id, project_id=project_id)
    evaluation = _side(context, None, eval_dataset_id, project_id=project_id)
    _require_apart(train, evaluation, part="eval_dataset_id")


def _require_apart(train: _Rows, evaluation: _Rows, *, part: str) -> None:
    if train[0] != evaluation[0]:
        message = f"the rows are of another format than the training rows: {evaluation[0]}, not {train[0]}"
        raise InvalidError(message, code="invalid_dataset", places=[Place(loc=(part,), message=message)])
    refuse_leak(train[1], evaluation[1], part=part)


def _side(context: Context, file: ReceivedFile | None, dataset_id: str | None, *, project_id: str) -> _Rows:
    if file is not None:
        return file.report.format or "", file.digests
    row = _stored(context, dataset_id or "", project_id=project_id)
    held_in = container.of_report(row.report)
    return row.format, rows.digests(context.blobs.path(row.sha256), format_name=row.format, container=held_in)


def _stored(context: Context, dataset_id: str, *, project_id: str) -> Dataset:
    with context.registry.read() as work:
        return datasets.get(work, project_id=project_id, dataset_id=dataset_id)


def _text(name: str, content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError("a part is not UTF-8", places=[Place(loc=(name,), message="not UTF-8")]) from None
    if "\x00" in text:
        message = "a text holds a NUL character"
        raise InvalidError(message, code="invalid_text", places=[Place(loc=(name,), message=message)])
    return text


def _require_sha256(file: ReceivedFile, sha256: str) -> None:
    if not _SHA256.match(sha256):
        raise _missing("sha256", "must be 64 hex digits in lower case")
    if sha256 != file.report.sha256:
        places = [Place(loc=("sha256",), message="is not that of the file as it arrived", hint="send it again")]
        raise InvalidError("the file is not the one that was meant", code="invalid_dataset", places=places)


def _missing(part: str, message: str) -> InvalidError:
    return InvalidError(message, places=[Place(loc=(part,), message=message)])
