"""The operator's command for keys and quotas, on the registry itself: it needs no running service, and no key.

python -m api.keys create NAME --scope SCOPE ... [--project NAME] [--expires-in-days N]
python -m api.keys list [--project NAME]
python -m api.keys revoke KEY_ID [--project NAME]
python -m api.keys quotas [--project NAME] [--max-open-jobs N] [--max-bytes N] [--max-requests-per-minute N]

Its changes are recorded as made by "operator". Like every process it finds the registry by the ``STRATA_…`` variables.
"""

from typing import Annotated, Final

import typer

from api.operators import ProjectName, opened_registry
from api.schemas.base import timestamp_or_none
from core.domain.access import Scope
from core.services import keys, projects

_DAY_SECONDS: Final = 24 * 3600
_PAGE_ROWS: Final = 100
_NO_LIMIT: Final = "none"
# What the columns can hold.
_DIGITS: Final = {"max_open_jobs": 9, "max_bytes": 15, "max_requests_per_minute": 9, "max_generations": 9}

app: Final = typer.Typer(
    help="Keys and quotas of this installation, on its registry itself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Limit = Annotated[str | None, typer.Option(metavar="N|none", help="A number, or none for no limit.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="By which people know the key.")],
    *,
    scope: Annotated[list[Scope], typer.Option(help="What it opens; may be given several times.")],
    project: ProjectName = "default",
    expires_in_days: Annotated[int | None, typer.Option(min=1, max=3660, help="Otherwise never.")] = None,
) -> None:
    """Make a key and print it: it is shown only now. A project that is not there yet is made."""
    with opened_registry() as registry, registry.write() as work:
        projects.ensure_default(work)
        owner = projects.ensure_named(work, name=project)
        seconds = None if expires_in_days is None else expires_in_days * _DAY_SECONDS
        made, key = keys.create(work, project_id=owner.id, name=name, scopes=scope, expires_in_seconds=seconds)
    typer.echo(f"{made.id} of project {project} ({owner.id}) opens {', '.join(made.scopes)}; keep it, it is:", err=True)
    typer.echo(key)


@app.command("list")
def list_all(*, project: ProjectName = "default") -> None:
    """List the project's keys, oldest first, but for the revoked ones."""
    with opened_registry() as registry, registry.read() as work:
        owner = projects.named(work, name=project)
        after = None
        while True:
            page = keys.page(work, project_id=owner.id, limit=_PAGE_ROWS, after=after, order="asc")
            for key in page.data:
                times = (timestamp_or_none(key.expires_ms) or "never", timestamp_or_none(key.last_used_ms) or "never")
                typer.echo(
                    f"{key.id}  {key.hint}…  {key.name}  {','.join(key.scopes)}  expires {times[0]}  used {times[1]}"
                )
            if not page.has_more:
                return
            after = page.data[-1].id


@app.command("revoke")
def revoke(key_id: str, *, project: ProjectName = "default") -> None:
    """End a key: the next call with it is refused."""
    with opened_registry() as registry, registry.write() as work:
        keys.revoke(work, project_id=projects.named(work, name=project).id, key_id=key_id)
    typer.echo(f"{key_id} opens nothing any more", err=True)


@app.command("quotas")
def quotas(
    *,
    project: ProjectName = "default",
    max_open_jobs: Limit = None,
    max_bytes: Limit = None,
    max_requests_per_minute: Limit = None,
    max_generations: Limit = None,
) -> None:
    """Show the project's quotas, after changing those that are given."""
    said = (max_open_jobs, max_bytes, max_requests_per_minute, max_generations)
    given = dict(zip(projects.QUOTAS, said, strict=True))
    changes = {name: _limit(name, value) for name, value in given.items() if value is not None}
    with opened_registry() as registry, registry.write() as work:
        found = projects.named(work, name=project)
        if changes:
            found = projects.set_quotas(work, project_id=found.id, reference=found.id, quotas=changes)
    for name in projects.QUOTAS:
        value = getattr(found, name)
        typer.echo(f"{name}  {_NO_LIMIT if value is None else value}")


def _limit(name: str, text: str) -> int | None:
    if text == _NO_LIMIT:
        return None
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS[name]:
        return int(text)
    raise typer.BadParameter(f"a whole number from 0, or {_NO_LIMIT}")


if __name__ == "__main__":
    app()
