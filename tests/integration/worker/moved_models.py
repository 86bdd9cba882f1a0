"""Models as folders: the operator's commands, and what is seen of a model and of an installation."""

from pathlib import Path
from typing import Any

from installation import Installation
from sqlalchemy import select
from typer.testing import CliRunner, Result

from api.lineages import app
from core.registry.access_tables import API_KEY
from core.registry.work import Registry
from core.services import evaluations, models, versions
from core.services.projects import DEFAULT_PROJECT_ID as PROJECT
from core.settings import Settings


def run(settings: Settings, *words: str) -> Result:
    surroundings = {f"STRATA_{name.upper()}": str(value) for name, value in named(settings).items()} | {
        "COLUMNS": "200"
    }
    return CliRunner().invoke(app, words, env=surroundings, catch_exceptions=False)


def named(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude_none=True, exclude={"engine_secret"})


def import_folder(installation: Installation, folder: Path, name: str = "guest") -> Result:
    return run(installation.settings, "import", str(folder), "--name", name)


def shown(registry: Registry, model: str) -> dict[str, Any]:
    """What a user sees of a model, without ids."""
    with registry.read() as work:
        entries = versions.lineage(work, project_id=PROJECT, model=model)
        numbers = {entry.version.id: entry.version.number for entry in entries}
        matrix = evaluations.matrix(work, project_id=PROJECT, model=model)
        aliases = versions.aliases(work, project_id=PROJECT, model=model)
        histories = {
            each.name: versions.alias_history(work, project_id=PROJECT, model=model, alias=each.name)
            for each in aliases
        }
        found = models.get(work, project_id=PROJECT, reference=model)
    return {
        "versions": [
            (
                entry.version.number,
                entry.version.state,
                entry.task_name,
                entry.aliases,
                [numbers[link] for link in entry.version.chain],
                entry.version.manifest_sha256,
                entry.version.digest,
                entry.version.delta,
                entry.version.created_ms,
            )
            for entry in entries
        ],
        "aliases": {
            name: [(move.n, numbers[move.to_version_id], move.actor, move.reason, move.at_ms) for move in moves]
            for name, moves in histories.items()
        },
        "scores": (matrix.tasks, matrix.scores, matrix.base_scores, matrix.density),
        "model": (found.method, found.policy, found.fence, found.created_ms),
    }


def contents(installation: Installation) -> tuple[dict[str, list[Any]], list[str]]:
    """Every row, and every file of the data folder but the database's and the jobs' own."""
    settings = installation.settings
    with installation.registry.read() as work:
        rows = {
            name: [tuple(row) for row in work.connection.execute(select(table)).all()]
            for name, table in API_KEY.metadata.tables.items()
        }
    places = (settings.artefacts_dir, settings.blobs_dir, settings.uploads_dir)
    return rows, sorted(str(path) for place in places for path in place.rglob("*") if path.is_file())
