"""`/v1/generate`, and `/generate` for short: ask a version."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api import bodies
from api.dependencies import Ctx, Known
from api.generations import Generation
from api.schemas.generation import GenerationRequest, GenerationView

router = APIRouter(tags=["generation"])


@router.post("/generate", response_model=GenerationView, openapi_extra=bodies.described(GenerationRequest))
@router.post("/v1/generate", response_model=GenerationView, openapi_extra=bodies.described(GenerationRequest))
async def generate(
    request: Request,
    body: Annotated[GenerationRequest, Depends(bodies.json_body(GenerationRequest))],
    context: Ctx,
    caller: Known,
) -> GenerationView | Response:
    """Ask a version; with `stream` the answer comes piece by piece as server-sent events."""
    generation = Generation(context, caller=caller, request=request)
    if not body.stream:
        return GenerationView.model_validate(await generation.answer(body))
    return await generation.stream(body)
