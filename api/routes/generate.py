"""`/v1/generate`, and `/generate` for short: ask a version."""

from typing import Annotated

from anyio import CapacityLimiter
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api import bodies
from api.dependencies import Ctx, Known
from api.generations import Generation, as_stream
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
    limiter: CapacityLimiter = request.app.state.generation_limiter
    generation = Generation(context, caller=caller, limiter=limiter)
    if not body.stream:
        return GenerationView.model_validate(await generation.answer(body))
    frames = await generation.stream(body, path=request.url.path, request_id=request.state.request_id)
    return as_stream(frames)
