"""What a machine of rules stands on: a registry, and beside it a small model of what it must answer."""

import shutil
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp

import stage
from history import assert_legal
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
)
from small_model import Job, SmallModel
from sqlalchemy import select
from stage import PROJECT, Wakes

from core.registry.tables import JOB
from core.registry.work import Registry, Work
from core.services import idempotency, projects, tasks, versions
from core.services.idempotency import Answer, Keyed

LINES = ("desk", "lab")
line = st.sampled_from(LINES)
# Which of the candidates a rule is about: small numbers, so that the same thing is met again and again.
pick = st.integers(min_value=0, max_value=5)


class Ground(RuleBasedStateMachine):
    """A registry and a model of it; after whatever is done to both, they must say the same."""

    def __init__(self, template: Path) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="strata-any-order-"))
        shutil.copyfile(template, self.folder / "registry.sqlite")
        self.registry = Registry(f"sqlite:///{self.folder / 'registry.sqlite'}")
        with self.registry.write() as work:
            projects.ensure_default(work)
        stage.ready_base(self.registry)
        for name in LINES:
            stage.new_model(self.registry, name)
        self.model = SmallModel(LINES)

    def teardown(self) -> None:
        with closing(self.registry), self.registry.read() as work:
            assert_legal(work)
        shutil.rmtree(self.folder)

    def chosen(self, which: int, *states: str) -> Job:
        candidates = self.model.those(*states)
        return candidates[which % len(candidates)]

    def version_id(self, work: Work, name: str, number: int) -> str:
        return versions.resolve(work, project_id=PROJECT, reference=f"{name}@{number}").id

    def post(self, key: str, name: str, *, pinned: bool) -> tuple[str, bool]:
        line_name, task = name.split("/")
        asked = Keyed(project_id=PROJECT, key=key, route="POST /v1/tasks", request_sha256=stage.sha256(name))
        with self.registry.write() as work:

            def submit() -> Answer:
                latest = self.version_id(work, line_name, self.model.lines[line_name].aliases["latest"])
                posted = stage.submission(work, task, model=line_name, expected_parent=latest if pinned else None)
                job = tasks.submit(work, project_id=PROJECT, submission=posted, dispatcher=Wakes()).job
                return Answer(status=202, body=job.id, headers={})

            answer, replayed = idempotency.once(work, asked, submit)
        return answer.body, replayed

    @invariant()
    def the_registry_says_what_the_model_says(self) -> None:
        with self.registry.read() as work:
            rows = {row.id: row for row in work.connection.execute(select(JOB).where(JOB.c.kind == "train"))}
            assert set(rows) == {job.id for job in self.model.jobs}
            for job in self.model.jobs:
                row = rows[job.id]
                held = row.fence if row.state == "running" else None
                wishes = (row.cancel_requested, row.pause_requested)
                facts = (row.state, held, row.claims, row.barren, row.checkpoint_step, *wishes)
                assert facts == job.facts(), job.id
            for name, held_line in self.model.lines.items():
                found = versions.page(work, project_id=PROJECT, model=name, limit=100, order="asc").data
                numbers = {version.id: version.number for version in found}
                assert {
                    version.number: version.parent_id and numbers[version.parent_id] for version in found
                } == held_line.parents
                assert {version.number for version in found if version.state == "deleted"} == held_line.deleted
                aliases = versions.aliases(work, project_id=PROJECT, model=name)
                assert {alias.name: numbers[alias.version_id] for alias in aliases} == held_line.aliases
