"""`/v1/chat/completions`: ask a version as OpenAI's clients do, by a conversation."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api import bodies, views
from api.dependencies import Ctx, Known
from api.generations import Generation
from api.openai import chat
from api.openai.chat import ChatCompletion, ChatCompletionRequest
from api.openai.sampling import ALSO_A_STREAM

router = APIRouter(prefix="/v1/chat/completions", tags=["openai"])


@router.post(
    "",
    response_model=ChatCompletion,
    responses=ALSO_A_STREAM,
    openapi_extra=bodies.described(ChatCompletionRequest),
)
async def create(
    request: Request,
    body: Annotated[ChatCompletionRequest, Depends(bodies.json_body(ChatCompletionRequest))],
    context: Ctx,
    caller: Known,
) -> Response:
    """Answer a conversation; with `stream` the answer comes in chunks as server-sent events."""
    asked = chat.request(body)
    generation = Generation(context, caller=caller, request=request)
    if not body.stream:
        return views.shown(chat.whole(await generation.answer(asked)))
    told = partial(chat.chunks, tells_usage=body.tells_usage)
    return await generation.stream(asked, told=told)
