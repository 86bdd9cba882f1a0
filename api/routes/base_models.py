"""`/v1/base-models`: the operator's allow-list."""

from typing import Annotated

from fastapi import APIRouter, Depends

from api import bodies, views
from api.dependencies import Ctx, Named, Paging
from api.schemas.base import ListView, listed
from api.schemas.models import BaseModelRequest, BaseModelView
from core.services import base_models

router = APIRouter(prefix="/v1/base-models", tags=["base models"])


@router.post("", status_code=201, openapi_extra=bodies.described(BaseModelRequest))
def add(body: Annotated[BaseModelRequest, Depends(bodies.json_body(BaseModelRequest))], context: Ctx) -> BaseModelView:
    """Allow a base model and queue its inspection."""
    with context.registry.write() as work:
        row = base_models.add(work, name=body.name, source=body.source, dispatcher=context.dispatcher)
        return views.base_model(row)


@router.get("")
def page(context: Ctx, paging: Paging) -> ListView[BaseModelView]:
    """List the base models that models can be made of."""
    with context.registry.read() as work:
        found = base_models.page(work, limit=paging.limit, after=paging.after, order=paging.order)
    rows = [views.base_model(row) for row in found.data]
    return listed(rows, [row.id for row in rows], has_more=found.has_more)


@router.get("/{name}")
def get(name: Named, context: Ctx) -> BaseModelView:
    """Show one base model, by name or id."""
    with context.registry.read() as work:
        return views.base_model(base_models.get(work, name=name))
