"""`/v1/models/{model}/report`: what a model learned and what it still knows, for machines and for people."""

from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Response

from api import answer_headers
from api.dependencies import Ctx, Named, Project
from api.media_types import preferred
from api.pages import model_page
from core.domain.model_report import ModelReport
from core.services import reports

router = APIRouter(prefix="/v1/models", tags=["models"])


class Format(StrEnum):
    """As what a report is answered."""

    JSON = "json"
    HTML = "html"
    SVG = "svg"


_FORMATS: Final = {"application/json": Format.JSON, "text/html": Format.HTML, "image/svg+xml": Format.SVG}
_MEDIA_TYPES: Final = {kind: media_type for media_type, kind in _FORMATS.items()}
_WRITERS: Final = {Format.HTML: model_page.page, Format.SVG: model_page.picture}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {_MEDIA_TYPES[kind]: {"schema": {"type": "string"}} for kind in _WRITERS}}
}
_VARY: Final = {"vary": "accept"}


@router.get("/{model}/report", response_model=ModelReport, responses=_ANSWERS)
def report(
    model: Named,
    context: Ctx,
    project: Project,
    response: Response,
    wanted: Annotated[Format | None, Query(alias="format", description="Without it `Accept` decides.")] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response | ModelReport:
    """Report on a model: scores, forgetting, deltas, versions. As `html` one page that loads nothing, as `svg` its figures."""
    kind = wanted or preferred(accept, _FORMATS)
    with context.registry.read() as work:
        found = reports.of_model(work, project_id=project, model=model)
    if kind is Format.JSON:
        response.headers.update(_VARY)
        return found
    headers = {**_VARY, answer_headers.CONTENT_SECURITY_POLICY: model_page.CONTENT_SECURITY_POLICY}
    return Response(_WRITERS[kind](found), media_type=_MEDIA_TYPES[kind], headers=headers)
