"""`strata generate`: ask a model."""

import json
from typing import Annotated, Any

import typer

from strata.cli.output import plain, print_json
from strata.cli.session import AsJson, Session, session_of


def generate(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="name, name@3, name:alias or a version's id.")],
    prompt: Annotated[str | None, typer.Argument(help="What to continue; or use --task and --input.")] = None,
    *,
    task: Annotated[str | None, typer.Option(help="Render the prompt as this task was trained.")] = None,
    field: Annotated[
        list[str] | None, typer.Option("--input", metavar="KEY=VALUE", help="A field of the task's row; repeat.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="0 is greedy.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Sample from the likeliest tokens of this probability.")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Sample from this many likeliest tokens.")] = None,
    repetition_penalty: Annotated[float | None, typer.Option(help="Above 1: repeat less.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the sampling.")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="Text that ends the answer; repeat.")] = None,
    choice: Annotated[list[str] | None, typer.Option(help="The answer is one of these; repeat.")] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="How many answers; one a line.")] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Print as it comes; with --json one JSON document a line.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a model's answer; which version spoke goes to stderr."""
    if (prompt is None) == (task is None):
        raise typer.BadParameter("give either a prompt or --task with --input", param_hint="PROMPT")
    if stream and n is not None and not as_json:
        raise typer.BadParameter("answers that are written at once cannot be printed as they come", param_hint="--n")
    session = session_of(context)
    request: dict[str, Any] = {
        "task": task,
        "input": _fields(field) if task else None,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
        "stop": stop or None,
        "choices": choice or None,
        "n": n,
    }
    if stream:
        _stream(session, model, prompt, request, as_json=as_json)
        return
    answer = session.client.generate(model, prompt, **request)
    if as_json:
        print_json(answer.to_json())
        return
    for each in answer.choices:
        typer.echo(plain(each.text).strip())
    session.notes.print(f"[dim]{answer.version or answer.version_id or ''}[/]")


def _stream(session: Session, model: str, prompt: str | None, request: dict[str, Any], *, as_json: bool) -> None:
    speaker: str | None = None
    for piece in session.client.stream(model, prompt, **request):
        speaker = piece.version or piece.version_id or speaker
        if as_json:
            print_json(piece.to_json())
        else:
            typer.echo(plain(piece.text), nl=False)
    if not as_json:
        typer.echo()
        session.notes.print(f"[dim]{speaker or ''}[/]")


def _fields(assignments: list[str] | None) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for assignment in assignments or ():
        if assignment.startswith("{"):
            fields.update(_object(assignment))
            continue
        key, equals, value = assignment.partition("=")
        if not equals:
            raise typer.BadParameter(f"{assignment!r} is not KEY=VALUE", param_hint="--input")
        fields[key] = value
    return fields


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--input") from error
    return dict(value)
