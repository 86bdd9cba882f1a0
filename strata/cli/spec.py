"""A task's spec from what was typed: a JSON file, and single settings by their path.

Every function raises `typer.BadParameter` for what cannot be read.
"""

import json
from pathlib import Path
from typing import Any, NoReturn

import typer


def spec_of(file: Path | None) -> dict[str, Any]:
    """Return the object that a JSON file holds; an empty one without a file."""
    if file is None:
        return {}
    try:
        spec = json.loads(file.read_bytes(), parse_constant=_refuse_constant)
    except ValueError as error:
        raise typer.BadParameter(f"{file} is not JSON: {error}", param_hint="--spec") from error
    if not isinstance(spec, dict):
        raise typer.BadParameter(f"{file} holds no JSON object", param_hint="--spec")
    return spec


def parse(assignment: str) -> tuple[str, Any]:
    """Return path and value of ``PATH=VALUE``; the value is JSON where it can be read as such, else text."""
    path, equals, text = assignment.partition("=")
    if not equals or not all(path.split(".")):
        raise typer.BadParameter(f"{assignment!r} is not PATH=VALUE", param_hint="--set")
    try:
        return path, json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError:
        return path, text


def _refuse_constant(name: str) -> NoReturn:
    raise typer.BadParameter(f"{name} is not a number that can be sent")


def assign(spec: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at ``path``, e.g. ``training.epochs``, making the objects on the way."""
    *parents, last = path.split(".")
    for key in parents:
        spec = spec.setdefault(key, {})
        if not isinstance(spec, dict):
            raise typer.BadParameter(f"{path}: {key} is not an object", param_hint="--set")
    spec[last] = value
