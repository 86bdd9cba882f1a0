"""Whether the service runs, and whether it can do its work."""

from typing import Literal

from fastapi import APIRouter

from api.dependencies import Ctx
from api.schemas.base import View
from core.services import keys

router = APIRouter(tags=["operations"])


class HealthView(View):
    """Every part that was asked answered."""

    status: Literal["ok"] = "ok"
    parts: dict[str, Literal["ok"]]


@router.get("/healthz")
def alive() -> HealthView:
    """Say that the API answers."""
    return HealthView(parts={"api": "ok"})


@router.get("/readyz")
def ready(context: Ctx) -> HealthView:
    """Say that registry and engine answer as well; 503 names the one that does not."""
    with context.registry.read() as work:
        keys.any_exist(work)
    context.generator.check()
    return HealthView(parts={"api": "ok", "registry": "ok", "engine": "ok"})
