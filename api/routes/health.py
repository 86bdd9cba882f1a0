"""Whether the service runs, and whether it can do its work."""

from typing import Literal

from fastapi import APIRouter

from api import readiness
from api.dependencies import Ctx
from api.schemas.base import View

router = APIRouter(tags=["operations"])


class HealthView(View):
    """Every part that was asked, with `ok` or an error code; `degraded` unless all of them are."""

    status: Literal["ok", "degraded"] = "ok"
    parts: dict[str, str]


@router.get("/healthz")
def alive() -> HealthView:
    """Say that the API answers; nothing else is asked."""
    return HealthView(parts={"api": readiness.OK})


@router.get("/readyz")
def ready(context: Ctx) -> HealthView:
    """Say how every part is; 503 when calls cannot be answered, which needs the registry at this release's schema."""
    found = readiness.parts(context)
    whole = all(part == readiness.OK for part in found.values())
    return HealthView(status="ok" if whole else "degraded", parts=found)
