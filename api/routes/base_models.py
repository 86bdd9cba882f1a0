"""`/v1/base-models`: the operator's allow-list."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from api import bodies, views
from api.dependencies import Ctx, Named, Paging
from api.idempotency import OnceOnly, answer, content_of
from api.schemas.base import ListView, listed
from api.schemas.models import BaseModelRequest, BaseModelView
from core.registry.work import Work
from core.services import base_models
from core.services.idempotency import Answer

router = APIRouter(prefix="/v1/base-models", tags=["base models"])


@router.post("", status_code=201, response_model=BaseModelView, openapi_extra=bodies.described(BaseModelRequest))
def add(
    body: Annotated[BaseModelRequest, Depends(bodies.json_body(BaseModelRequest))], context: Ctx, once: OnceOnly
) -> Response:
    """Allow a base model and queue its inspection."""

    def change(work: Work) -> Answer:
        row = base_models.add(work, name=body.name, source=body.source, dispatcher=context.dispatcher)
        return answer(201, views.base_model(row), {"Location": f"/v1/base-models/{row.id}"})

    return once.perform(change, content=content_of(body))


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
