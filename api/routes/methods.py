"""`/v1/methods`: what can be asked for."""

from typing import Any

from fastapi import APIRouter

from api.schemas.base import ListView, listed
from core.learning.catalogue.listing import methods

router = APIRouter(prefix="/v1/methods", tags=["methods"])


@router.get("")
def page() -> ListView[dict[str, Any]]:
    """List the learning methods, with the JSON schema of their settings, their capabilities and their sources."""
    rows = [{"object": "method", "description": row["summary"], **row} for row in methods()]
    return listed(rows, [str(row["name"]) for row in rows], has_more=False)
