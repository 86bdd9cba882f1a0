"""From a received file to a dataset: the blob first, then its row, and no blob without a row."""

import os
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from starlette.responses import Response

from api.context import Context
from api.idempotency import Once, content_of
from api.multipart import ReceivedFile
from core.domain.errors import ConflictError, MissingError
from core.domain.ports import BlobStore
from core.domain.records import Dataset
from core.registry import datasets as dataset_rows
from core.registry.work import Registry, Work
from core.services import datasets
from core.services.idempotency import Answer

T = TypeVar("T")

_ATTEMPTS: Final = 3


def store(
    context: Context,
    files: Mapping[str, ReceivedFile],
    *,
    project_id: str,
    then: Callable[[Work, Mapping[str, Dataset]], T],
) -> T:
    """Do what `keep` does with the application's ports."""
    return keep(context.registry, context.blobs, files, project_id=project_id, then=then)


def keep(
    registry: Registry,
    blobs: BlobStore,
    files: Mapping[str, ReceivedFile],
    *,
    project_id: str,
    then: Callable[[Work, Mapping[str, Dataset]], T],
) -> T:
    """Keep ``files`` as datasets and do ``then`` in the same transaction: all of it happens, or none.

    Args:
        registry: where their rows go.
        blobs: where their bytes go.
        files: accepted files, by the name of their part.
        project_id: whose datasets they become.
        then: gets the rows by part; its result is returned.
    """
    new = [file for file in files.values() if not _is_stored(blobs, file)]
    try:
        for file in new:
            _adopt(blobs, file)
        result = _transact(registry, files, project_id=project_id, then=then)
    except BaseException:
        for file in new:
            remove_unused(registry, blobs, sha256=file.report.sha256)
        raise
    # Someone who failed with, or deleted, the same content may have removed it between our two steps.
    for file in files.values():
        if not _is_stored(blobs, file):
            _adopt(blobs, file)
    return result


def keep_one(
    context: Context,
    files: Mapping[str, ReceivedFile],
    *,
    project_id: str,
    once: Once,
    shown: Callable[[Dataset], Answer],
) -> Response:
    """Keep the part `file` as a dataset and answer with it, once."""
    content = content_of(None, files)
    if known := once.recall(content):
        return known

    def change(work: Work, stored: Mapping[str, Dataset]) -> Response:
        return once.settle(work, lambda _: shown(stored["file"]), content=content)

    return store(context, files, project_id=project_id, then=change)


def delete(context: Context, *, project_id: str, dataset_id: str) -> None:
    """Delete a dataset that no task uses, and its bytes with it unless they are another dataset's too.

    Raises:
        MissingError: ``dataset_not_found``.
        ConflictError: ``dataset_in_use``.
    """
    with context.registry.write() as work:
        row = datasets.get(work, project_id=project_id, dataset_id=dataset_id)
        is_unused = datasets.delete(work, project_id=project_id, dataset_id=dataset_id)
    if is_unused:
        remove_unused(context.registry, context.blobs, sha256=row.sha256)


def rehearse(
    context: Context,
    files: Mapping[str, ReceivedFile],
    *,
    project_id: str,
    then: Callable[[Work, Mapping[str, Dataset]], T],
) -> T:
    """Return what ``then`` would, as `store` would call it, and leave nothing behind."""
    with context.registry.rehearse() as work:
        rows = {part: _register(work, file, project_id=project_id) for part, file in files.items()}
        return then(work, rows)


def _transact(
    registry: Registry,
    files: Mapping[str, ReceivedFile],
    *,
    project_id: str,
    then: Callable[[Work, Mapping[str, Dataset]], T],
) -> T:
    """Do it again when someone registered the same content at the same moment: then theirs is found."""
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            with registry.write() as work:
                for sha256 in sorted({file.report.sha256 for file in files.values()}):
                    dataset_rows.lock_content(work, sha256)
                rows = {part: _register(work, file, project_id=project_id) for part, file in files.items()}
                return then(work, rows)
        except ConflictError as error:
            if error.code != ConflictError.default_code or not attempts_left:
                raise
    raise AssertionError("the last attempt returns or raises")


def remove_unused(registry: Registry, blobs: BlobStore, *, sha256: str) -> None:
    """Remove a blob that no dataset names; nobody can name it meanwhile."""
    with registry.write() as work:
        dataset_rows.lock_content(work, sha256)
        if dataset_rows.content_users(work, sha256) == 0:
            blobs.delete(sha256)


def _register(work: Work, file: ReceivedFile, *, project_id: str) -> Dataset:
    report = file.report
    return datasets.register(
        work,
        project_id=project_id,
        sha256=report.sha256,
        size_bytes=report.size_bytes,
        format=report.format or "",
        n_rows=report.n_rows,
        report=report.model_dump(mode="json"),
    )


def _is_stored(blobs: BlobStore, file: ReceivedFile) -> bool:
    try:
        blobs.path(file.report.sha256)
    except MissingError:
        return False
    return True


def _adopt(blobs: BlobStore, file: ReceivedFile) -> None:
    """Give the store a second name of the file, so that ours stays until all is done."""
    name = file.path.with_suffix(".adopted")
    os.link(file.path, name)
    blobs.adopt(name, sha256=file.report.sha256)
