"""What the operator's commands share: they work on the registry itself, and say in one line what cannot be."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Final

import typer

from core.domain.errors import StrataError, UnavailableError
from core.registry.work import Registry
from core.settings import Settings

OPERATOR: Final = "operator"
ProjectName = Annotated[str, typer.Option("--project", help="Name of the project.")]


@contextmanager
def opened_registry() -> Iterator[Registry]:
    """Open the registry on the operator's behalf; end with a line where it or the core refuses."""
    try:
        with closing(Registry(Settings().database_url)) as registry:
            yield registry.acting_as(OPERATOR)
    except UnavailableError as error:
        if error.code != "registry_unavailable":
            raise _ended(error) from error
        typer.echo(
            "error: the registry cannot be read; `python -m migrations` makes it or brings it up to date", err=True
        )
        raise typer.Exit(1) from error
    except StrataError as error:
        raise _ended(error) from error


def _ended(error: StrataError) -> typer.Exit:
    places = "".join(f"\n  {'.'.join(map(str, place.loc))}: {place.message}" for place in error.places)
    typer.echo(f"error: {error.detail}{places}", err=True)
    return typer.Exit(1)
