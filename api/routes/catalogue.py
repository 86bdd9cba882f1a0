"""Every router, in the order of the documentation. A new endpoint is a module beside this file and a line here."""

from typing import Final

from fastapi import APIRouter

from api.routes import (
    aliases,
    base_models,
    datasets,
    events,
    exports,
    generate,
    health,
    job_reports,
    jobs,
    keys,
    methods,
    metrics,
    models,
    openai_chat,
    openai_completions,
    openai_files,
    openai_fine_tuning,
    projects,
    reports,
    tasks,
    versions,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    models.router,
    tasks.router,
    jobs.router,
    job_reports.router,
    datasets.router,
    versions.router,
    exports.router,
    reports.router,
    aliases.router,
    generate.router,
    openai_chat.router,
    openai_completions.router,
    openai_files.router,
    openai_fine_tuning.router,
    methods.router,
    base_models.router,
    keys.router,
    projects.router,
    events.router,
    health.router,
    metrics.router,
)
