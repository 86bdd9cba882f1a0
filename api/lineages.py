"""The operator's command for whole models: out of one installation into a folder, and from a folder into another.

python -m api.lineages export MODEL FOLDER [--project NAME] [--datasets]
python -m api.lineages import FOLDER --name NAME [--project NAME]

It works on the registry and the stores that the ``STRATA_…`` variables name; no service need run. Its changes are
recorded as made by "operator".
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from api import storing
from api.multipart import UPLOAD_PREFIX, ReceivedFile
from api.operators import ProjectName, opened_registry
from core.datasets.containers.container import of_report
from core.datasets.validator import Validator
from core.domain.identifiers import new_id
from core.domain.lineage import DatasetEntry, artefact_key
from core.domain.ports import ArtefactStore, BlobStore
from core.domain.records import Dataset, Model
from core.registry.work import Registry, Work
from core.services import lineages, projects
from core.settings import Settings
from core.storage import lineages as folders
from core.storage import opening
from core.storage.lineages import PackedLineage

_CHUNK_BYTES: Final = 1024 * 1024

app: Final = typer.Typer(
    help="Models with all their versions, between installations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command("export")
def export(
    model: Annotated[str, typer.Argument(help="The model's name or id.")],
    folder: Annotated[Path, typer.Argument(help="Where to write it; must not exist.")],
    *,
    project: ProjectName = "default",
    with_datasets: Annotated[bool, typer.Option("--datasets", help="Take the files of rows along.")] = False,
) -> None:
    """Write a model, its versions and their history into a folder."""
    settings = Settings()
    with opened_registry() as registry:
        with registry.read() as work:
            owner = projects.named(work, name=project)
            lineage = lineages.describe(work, project_id=owner.id, model=model)
        if with_datasets:
            lineages.require_consent(lineage)
        artefacts, blobs = _stores(settings)
        seal = folders.pack(
            folder, lineage, project_id=owner.id, artefacts=artefacts, blobs=blobs if with_datasets else None
        )
    typer.echo(f"{len(lineage.versions)} versions of {lineage.model.name} in {folder}", err=True)
    typer.echo(seal)


@app.command("import")
def import_folder(
    folder: Annotated[Path, typer.Argument(help="What `export` wrote.", exists=True, file_okay=False)],
    *,
    name: Annotated[str, typer.Option(help="The new model's name.")],
    project: ProjectName = "default",
) -> None:
    """Make a model of a folder: verified first, and there in one step, or not at all."""
    settings = Settings()
    with opened_registry() as registry:
        packed = folders.unpack(folder)
        with registry.read() as work:
            owner = projects.named(work, name=project)
            lineages.require_room(work, packed.lineage, project_id=owner.id, name=name)
        made = _Import(settings, registry, packed).run(project_id=owner.id, name=name)
    typer.echo(f"{name} ({made.id}) has {len(packed.lineage.versions)} versions", err=True)
    typer.echo(made.id)


class _Import:
    """One import: files first, then all rows in one transaction; what fails takes its files along."""

    def __init__(self, settings: Settings, registry: Registry, packed: PackedLineage) -> None:
        self._settings = settings
        self._registry = registry
        self._packed = packed
        self._artefacts, self._blobs = _stores(settings)

    def run(self, *, project_id: str, name: str) -> Model:
        """Return the model."""
        model_id = new_id("mdl")

        def install(work: Work, stored: Mapping[str, Dataset]) -> Model:
            return lineages.install(
                work,
                self._packed.lineage,
                project_id=project_id,
                model_id=model_id,
                name=name,
                dataset_ids={sha256: row.id for sha256, row in stored.items()},
            )

        with self._received() as files, self._published(project_id=project_id, model_id=model_id):
            return storing.keep(self._registry, self._blobs, files, project_id=project_id, then=install)

    @contextmanager
    def _received(self) -> Iterator[dict[str, ReceivedFile]]:
        """Judge the datasets that came along as if they were uploaded, beside the blob store."""
        entries = {entry.sha256: entry for entry in self._packed.lineage.datasets}
        uploads = self._settings.uploads_dir
        uploads.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=uploads, prefix=UPLOAD_PREFIX) as scratch:
            yield {
                sha256: self._judged(file, Path(scratch) / sha256, entries[sha256])
                for sha256, file in self._packed.datasets()
            }

    def _judged(self, file: Path, copy: Path, entry: DatasetEntry) -> ReceivedFile:
        shutil.copyfile(file, copy)
        validator = Validator(
            max_rows=self._settings.max_rows,
            max_bytes=self._settings.upload_max_bytes,
            container=of_report(entry.report),
            file=copy,
        )
        with copy.open("rb") as content:
            while chunk := content.read(_CHUNK_BYTES):
                validator.feed(chunk)
        report = validator.finish().accepted(part=f"datasets/{entry.sha256}")
        return ReceivedFile(copy, report, validator.digests)

    @contextmanager
    def _published(self, *, project_id: str, model_id: str) -> Iterator[None]:
        """Put the versions' folders under the new model's keys; away with them, if the block fails."""
        keys: list[str] = []
        try:
            for identity, folder in self._packed.artefacts():
                keys.append(artefact_key(project_id=project_id, model_id=model_id, manifest_sha256=identity))
                self._artefacts.publish(folder, key=keys[-1])
            yield
        except BaseException:
            for key in keys:
                self._artefacts.delete(key)
            raise


def _stores(settings: Settings) -> tuple[ArtefactStore, BlobStore]:
    artefacts = opening.artefact_store(settings.artefacts_dir, **settings.storage)
    return artefacts, opening.blob_store(settings.blobs_dir, **settings.storage)


if __name__ == "__main__":
    app()
