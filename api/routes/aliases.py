"""Aliases of a model: movable names for its versions, and rolling back."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Response

from api import bodies
from api.dependencies import Ctx, Named, Project
from api.idempotency import OnceOnly, answer, content_of
from api.schemas.base import ListView, listed, timestamp
from api.schemas.models import DeletedView
from api.schemas.versions import AliasMoveView, AliasView, PromotionRequest, RollbackRequest
from core.domain.errors import MalformedError, Place, PreconditionError
from core.domain.records import Alias
from core.registry.work import Work
from core.services import models, promotions, versions
from core.services.idempotency import Answer
from core.services.promotions import Promotion

router = APIRouter(prefix="/v1/models/{model}", tags=["versions"])

_ANY: Final = "*"
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="The version's id, in quotes, that the alias must name now, else 412."),
]


@router.get("/aliases")
def page(model: Named, context: Ctx, project: Project) -> ListView[AliasView]:
    """List a model's aliases and what they name."""
    with context.registry.read() as work:
        row = models.get(work, project_id=project, reference=model)
        rows = [_view(work, alias) for alias in versions.aliases(work, project_id=project, model=row.id)]
    return listed(rows, [alias.name for alias in rows], has_more=False)


@router.get("/aliases/{alias}")
def get(model: Named, alias: Named, context: Ctx, project: Project, response: Response) -> AliasView:
    """Show what one alias names; `ETag` is the version's id."""
    with context.registry.read() as work:
        found = versions.require_alias(work, project_id=project, model=model, alias=alias)
        response.headers["ETag"] = f'"{found.version_id}"'
        return _view(work, found)


@router.put("/aliases/{alias}", openapi_extra=bodies.described(PromotionRequest))
def promote(  # noqa: PLR0913 - what the framework hands over, each by its type
    *,
    model: Named,
    alias: Named,
    body: Annotated[PromotionRequest, Depends(bodies.json_body(PromotionRequest))],
    context: Ctx,
    project: Project,
    response: Response,
    if_match: IfMatch = None,
) -> AliasView:
    """Let an alias name another ready version; an unknown alias is created."""
    promotion = _promotion(body, if_match)
    with context.registry.write() as work:
        moved = promotions.promote(work, project_id=project, model=model, alias=alias, promotion=promotion)
        response.headers["ETag"] = f'"{moved.version_id}"'
        return _view(work, moved)


@router.delete("/aliases/{alias}")
def delete(model: Named, alias: Named, context: Ctx, project: Project, if_match: IfMatch = None) -> DeletedView:
    """Remove an alias; `latest` stays."""
    expected = _expected(None, if_match)
    with context.registry.write() as work:
        removed = promotions.remove_alias(work, project_id=project, model=model, alias=alias, expected=expected)
    return DeletedView(id=removed.name, object="alias")


@router.get("/aliases/{alias}/history")
def history(model: Named, alias: Named, context: Ctx, project: Project) -> ListView[AliasMoveView]:
    """List an alias's moves, oldest first."""
    with context.registry.read() as work:
        moves = versions.alias_history(work, project_id=project, model=model, alias=alias)
        verdicts = versions.verdicts(work, {move.to_version_id for move in moves})
    rows = [
        AliasMoveView(
            n=move.n,
            from_version_id=move.from_version_id,
            to_version_id=move.to_version_id,
            actor=move.actor,
            reason=move.reason,
            gate=verdicts[move.to_version_id],
            at=timestamp(move.at_ms),
        )
        for move in moves
    ]
    return listed(rows, [move.n for move in rows], has_more=False)


@router.post("/rollback", response_model=AliasView, openapi_extra=bodies.described(RollbackRequest))
def rollback(
    model: Named,
    body: Annotated[RollbackRequest, Depends(bodies.json_body(RollbackRequest))],
    project: Project,
    once: OnceOnly,
    if_match: IfMatch = None,
) -> Response:
    """Let `latest` name an earlier version: it answers at once, and the next task starts from there."""
    promotion = _promotion(body, if_match)

    def change(work: Work) -> Answer:
        moved = promotions.rollback(work, project_id=project, model=model, promotion=promotion)
        return answer(200, _view(work, moved), {"ETag": f'"{moved.version_id}"'})

    return once.perform(change, content=content_of(body))


def _promotion(body: RollbackRequest, if_match: str | None) -> Promotion:
    expected = _expected(body.expected_version, if_match)
    return Promotion(version=body.version, reason=body.reason or "asked for", expected=expected)


def _expected(version_id: str | None, if_match: str | None) -> str | None:
    """Return the version that the alias must name now, said in the body or as an entity tag."""
    if if_match is None or if_match == _ANY:
        return version_id
    if len(if_match) <= 2 or not (if_match[0] == if_match[-1] == '"'):  # noqa: PLR2004 - the quotes
        places = [Place(loc=("header", "If-Match"), message="must be one entity tag in quotes, or *")]
        raise MalformedError("If-Match could not be read", places=places)
    tag = if_match[1:-1]
    if version_id not in {None, tag}:
        raise PreconditionError("If-Match and expected_version name different versions")
    return tag


def _view(work: Work, alias: Alias) -> AliasView:
    name = models.get(work, project_id=alias.project_id, reference=alias.model_id).name
    named = versions.get(work, project_id=alias.project_id, version_id=alias.version_id)
    return AliasView(
        name=alias.name,
        version_id=alias.version_id,
        version=f"{name}@{named.number}",
        moves=alias.moves,
        moved_at=timestamp(alias.moved_ms),
    )
