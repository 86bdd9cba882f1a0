"""`/metrics`: the service, as Prometheus asks for it."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api import exposition
from api.dependencies import Ctx

router = APIRouter(tags=["operations"])


@router.get("/metrics", response_model=None, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request, context: Ctx) -> Response:
    """Tell Prometheus how the service stands: this API process, all jobs, and the engine."""
    return Response(exposition.render(context, request.app.state.meters), media_type=CONTENT_TYPE_LATEST)
