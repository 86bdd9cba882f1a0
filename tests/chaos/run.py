"""One run on one site: set up, drills, fire, rest, judgement."""

import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import select

from core.domain.errors import UnavailableError
from core.domain.jobs import OPEN
from core.registry.tables import JOB
from tests.chaos import drills, journal, site
from tests.chaos.calls import Caller
from tests.chaos.checker import Verdict, judge
from tests.chaos.clients import (
    BASE,
    MODELS,
    REAL_MODELS,
    Asker,
    Meddler,
    Promoter,
    Reader,
    RealSubmitter,
    Shared,
    Submitter,
    User,
    ask,
)
from tests.chaos.drills import until
from tests.chaos.journal import Journal
from tests.chaos.kit import Kit
from tests.chaos.nemesis import harm
from tests.chaos.processes import trainers
from tests.chaos.scene import Scene, say
from tests.chaos.site import Site

# Six in a whole run of both engines; each takes as long, with its attempts, as a dozen of the others.
SECONDS_A_REAL_TASK = 100
LEAST_REAL_TASKS = 2
REST_SECONDS = 150
START_SECONDS = 120
# A version that was committed answers after that long, on a machine that is busy.
FLIP_SECONDS = 40


def fire(engine: str, *, seconds: float, seed: int, root: Path, kit: Kit) -> dict[str, Any]:
    """Put one engine under fire and return its line; what was found is told on standard error."""
    chance = random.Random(f"{engine} {seed}")
    with site.running(engine, root, kit) as place:
        history = Journal(place.history)
        caller = Caller(place.url, history)
        _prepare(place, caller, kit, models=(*MODELS, *REAL_MODELS))
        broken = drills.orphan(place, caller)
        drills.late_commit(place, caller)
        if place.servers is not None:
            broken += drills.no_broker(place, caller)
        scene = Scene(place, history, chance)
        shared = Shared(place.url, history, place.data_dir / "artefacts")
        users = _users(shared, chance, seconds)
        say(f"{engine}: under fire for {seconds:.0f} s")
        for user in users:
            user.start()
        harm(scene, seconds=seconds)
        shared.stop.set()
        for user in users:
            user.join()
        broken += scene.breaks
        broken += _come_to_rest(place, caller)
        place.keeper.stop()
        history.close()
        verdict = judge(place, journal.read(place.history))
    verdict = replace(
        verdict,
        invariant_breaks=[*verdict.invariant_breaks, *broken],
        torn_versions=[*verdict.torn_versions, *shared.torn],
    )
    _tell(place, verdict, scene)
    return _line(engine, seconds, verdict, faults=scene.counts.total())


def mutate(*, root: Path, kit: Kit) -> dict[str, Any]:
    """Let workers without the fence commit too late, and return whether the checker catches it."""
    with site.running("sqlite", root, kit, workers=("tests.chaos.unfenced_worker",) * 2) as place:
        history = Journal(place.history)
        caller = Caller(place.url, history)
        _prepare(place, caller, kit, models=MODELS[:1])
        drills.late_commit(place, caller)
        place.keeper.stop()
        history.close()
        verdict = judge(place, journal.read(place.history))
    for found in verdict.found:
        say(f"mutant: caught: {found}")
    return {"engine": "mutant", "caught": any(found.startswith("I4") for found in verdict.found)}


def _prepare(place: Site, caller: Caller, kit: Kit, *, models: tuple[str, ...]) -> None:
    began = time.monotonic()
    until(lambda: caller.get("/healthz"), what="the API answers", seconds=START_SECONDS)
    body = {"name": BASE, "source": f"folder:{kit.base}"}
    assert caller.call("allow", "POST", "/v1/base-models", asked=body, json=body).outcome == "ok"
    path = f"/v1/base-models/{BASE}"
    until(lambda: (caller.get(path) or {}).get("state") == "ready", what="the base is read", seconds=START_SECONDS)
    for model in models:
        body = {"name": model, "base_model": BASE}
        assert caller.call("create", "POST", "/v1/models", asked=body, json=body).outcome == "ok"
    say(f"{place.engine}: ready after {time.monotonic() - began:.0f} s; files in {place.root}")


def _users(shared: Shared, chance: random.Random, seconds: float) -> list[User]:
    real = max(LEAST_REAL_TASKS, round(seconds / SECONDS_A_REAL_TASK))
    kinds = (Submitter, Submitter, Meddler, Promoter, Asker, Reader)
    users: list[User] = [kind(shared, chance.getrandbits(64)) for kind in kinds]
    return [*users, RealSubmitter(shared, chance.getrandbits(64), tasks=real, seconds=seconds)]


def _come_to_rest(place: Site, caller: Caller) -> list[str]:
    """Wait until every job is over; users resume what they paused. Nothing else is done to the service."""
    began = time.monotonic()
    while (left := _open_jobs(place)) != [] and time.monotonic() < began + REST_SECONDS:
        for job_id, state in left or ():
            if state == "paused":
                caller.call("resume", "POST", f"/v1/jobs/{job_id}/resume", asked={"job": job_id})
        time.sleep(0.3)
    say(f"{place.engine}: at rest after {time.monotonic() - began:.0f} s")
    broken = [f"I13: {model} does not answer by its latest version" for model in _silent(caller)]
    time.sleep(1)
    broken += [f"I10: a trainer of {each.job_id} still runs" for each in trainers(place.jobs_dir)]
    return broken


def _open_jobs(place: Site) -> list[tuple[str, str]] | None:
    try:
        with place.registry.read() as work:
            rows = work.connection.execute(select(JOB.c.id, JOB.c.state).where(JOB.c.state.in_(sorted(OPEN))))
            return [(row.id, row.state) for row in rows]
    except UnavailableError:
        return None


def _silent(caller: Caller) -> list[str]:
    """Return the models that are not answered by what their `latest` names, after a while."""
    waiting = [*MODELS, *REAL_MODELS]
    deadline = time.monotonic() + FLIP_SECONDS
    while waiting and time.monotonic() < deadline:
        waiting = [model for model in waiting if not _answers_by_latest(caller, model)]
        time.sleep(0.2)
    return waiting


def _answers_by_latest(caller: Caller, model: str) -> bool:
    latest = caller.get(f"/v1/models/{model}/aliases/latest")
    answer = ask(caller, model)
    return latest is not None and (answer.body or {}).get("version_id") == latest["version_id"]


def _tell(place: Site, verdict: Verdict, scene: Scene) -> None:
    engine = place.engine
    for name, count in sorted(scene.counts.items()):
        say(f"{engine}: {count:4d} x {name}")
    # No promise is broken where, say, an API ends at its start because its database is away: it is started again.
    for end in sorted(set(place.keeper.unasked)):
        say(f"{engine}: {place.keeper.unasked.count(end)} x {end}")
    for found in verdict.found:
        say(f"{engine}: FOUND {found}")


def _line(engine: str, seconds: float, verdict: Verdict, *, faults: int) -> dict[str, Any]:
    return {
        "engine": engine,
        "seconds": seconds,
        "faults": faults,
        "acknowledged": verdict.acknowledged,
        "succeeded": verdict.succeeded,
        "interrupted": verdict.interrupted,
        "lost": len(verdict.lost),
        "duplicate_versions": len(verdict.duplicate_versions),
        "torn_versions": len(verdict.torn_versions),
        "invariant_breaks": len(verdict.invariant_breaks),
        # The harness starts what died, as any supervisor does, and has no other way to touch the service.
        "manual_repairs": 0,
    }
