"""`strata methods`: how a task can be learned."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from strata.cli.output import facts, print_json, print_rows, table
from strata.cli.session import AsJson, Session, session_of
from strata.client.results import Method


def methods(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One method, with all that can be set.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the learning methods, or show one with its settings."""
    session = session_of(context)
    rows = session.client.methods.list()
    if name is not None:
        _show(session, _named(rows, name), as_json=as_json)
    elif as_json:
        print_rows(rows)
    else:
        shown = [(row.name, row.description, "keeps rows" if row.stores_rows else None, row.source) for row in rows]
        table(session.results, ("method", "what it does", "needs consent", "source"), shown)


def _named(rows: tuple[Method, ...], name: str) -> Method:
    for row in rows:
        if row.name == name:
            return row
    raise typer.BadParameter(f"there is no such method; there are: {', '.join(row.name for row in rows)}")


def _show(session: Session, method: Method, *, as_json: bool) -> None:
    if as_json:
        print_json(method.to_json())
        return
    parts = {
        "method": method.name,
        "what it does": method.description,
        "adapter": method.adapter,
        "objectives": ", ".join(method.objectives) or None,
        "memories": ", ".join(method.memories) or None,
        "composition": method.composition,
        "capabilities": ", ".join(method.capabilities) or None,
        "keeps rows": "yes: create the model with --store-rows" if method.stores_rows else None,
        "grows with tasks": "yes" if method.grows_with_tasks else None,
        "source": method.source,
        "page": method.page,
    }
    facts(session.results, parts.items())
    own = {**method.settings, "objectives": _chosen(method.settings.get("objectives", {}), method.objectives)}
    table(session.results, ("setting", "default", "meaning"), _settings(own, ""), title="Settings")


def _chosen(schemas: Mapping[str, Any], names: Any) -> dict[str, Any]:
    return {name: schemas[name] for name in names if name in schemas}


def _settings(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, object, object]]:
    """Yield every setting below ``path`` as ``--set`` names it, with its default and its meaning."""
    for name, inner in schema.items():
        if not isinstance(inner, Mapping):
            continue
        here = f"{path}{name}"
        if "properties" not in inner:
            yield from _settings(inner, f"{here}.")
            continue
        for field, of in inner["properties"].items():
            yield f"{here}.{field}", of.get("default"), of.get("description")
