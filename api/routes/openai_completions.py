"""`/v1/completions`: ask a version as OpenAI's clients do, by a plain prompt."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api import bodies, views
from api.dependencies import Ctx, Known
from api.generations import Generation
from api.openai import completions
from api.openai.completions import Completion, CompletionRequest
from api.openai.sampling import ALSO_A_STREAM

router = APIRouter(prefix="/v1/completions", tags=["openai"])


@router.post("", response_model=Completion, responses=ALSO_A_STREAM, openapi_extra=bodies.described(CompletionRequest))
async def create(
    request: Request,
    body: Annotated[CompletionRequest, Depends(bodies.json_body(CompletionRequest))],
    context: Ctx,
    caller: Known,
) -> Response:
    """Go on from a prompt; with `stream` the answer comes in chunks as server-sent events."""
    asked = completions.request(body)
    generation = Generation(context, caller=caller, request=request)
    if not body.stream:
        return views.shown(completions.whole(await generation.answer(asked)))
    told = partial(completions.chunks, tells_usage=body.tells_usage)
    return await generation.stream(asked, told=told)
