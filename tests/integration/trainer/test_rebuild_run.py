"""Leaving tasks out in a trainer, in this process: what is folded, scored and kept, and what learns on top of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from job_folders import SMALL, Lineage, identity, phases, rows, scores

from core.domain.errors import CorruptError
from core.domain.job_folder import Event, JobFolder, ProgressEvent
from core.domain.manifest import CANARY_FILE, DELTA_FILE, Manifest
from core.domain.trainer_spec import ChainLink, RebuildSpec, ScoredTask, TrainerSpec
from core.learning.memories.row_store import unpacked
from core.learning.rebuild_run import RebuildRun
from core.learning.rows import TokenRow
from core.learning.task_run import TaskRun
from core.learning.trainer import CancelledError
from core.storage import manifests
from core.weights import base, canary, fold, tensor_files
from core.weights.delta import Delta

ROWS = "memory/reservoir.safetensors"
KEEPING = {"method": "jumplora+ella+replay", "memories": {"reservoir": {"capacity": 60}}}


def learned(root: Path, base_path: Path, tasks: int = 3, **spec: Any) -> Lineage:
    lineage = Lineage(root, base_path, spec=SMALL | spec)
    for n in range(tasks):
        learn(lineage, f"task-{n}")
    return lineage


def learn(lineage: Lineage, name: str) -> Manifest:
    folder = lineage.stage(name)
    spec = TrainerSpec.model_validate_json(folder.spec.read_text())
    TaskRun.open(spec, folder, report=lambda _: None, stopping=lambda: False).run()
    return lineage.finish(folder)


def stage(lineage: Lineage, name: str, left_out: set[int]) -> JobFolder:
    """Stage what leaves some of the chain's links out, counted from 0."""
    folder = JobFolder(lineage.root / name / "1")
    folder.data.mkdir(parents=True)
    for n, done in enumerate(lineage.done):
        shutil.copytree(done.out, folder.chain / str(n))
        (folder.data / f"eval-task_{n + 1}.jsonl").write_text(rows(100 * (n + 1) + n + 1, 8))
    links = [
        ChainLink(version_id=f"ver_{n}", folder=f"chain/{n}", manifest_sha256=identity(done))
        for n, done in enumerate(lineage.done)
    ]
    last = TrainerSpec.model_validate_json(lineage.done[-1].spec.read_text())
    spec = RebuildSpec(
        base=last.base,
        links=tuple(links),
        left_out=tuple(f"ver_{n}" for n in sorted(left_out)),
        recipe=last.recipe,
        tasks=tuple(
            ScoredTask(task_id=f"task_{n}", name=f"task-{n}", rows=f"data/eval-task_{n}.jsonl")
            for n in range(1, len(links) + 1)
        ),
        provenance={
            "project_id": "prj_default",
            "model_id": "mdl_1",
            "task_id": None,
            "job_id": "job_9",
            "fence": 1,
            "parent_version_id": "ver_9",
            "left_out": [f"task_{n + 1}" for n in sorted(left_out)],
        },
        device="cpu",
        threads=1,
    )
    folder.spec.write_text(spec.model_dump_json())
    return folder


def run(folder: JobFolder) -> list[Event]:
    told: list[Event] = []
    spec = RebuildSpec.model_validate_json(folder.spec.read_text())
    RebuildRun.open(spec, folder, report=told.append, stopping=lambda: False).run()
    return told


def rebuilt(lineage: Lineage, name: str, left_out: set[int]) -> tuple[Lineage, list[Event]]:
    """Return a lineage that goes on from the version without some links."""
    folder = stage(lineage, name, left_out)
    told = run(folder)
    made = Lineage(lineage.root / f"after-{name}", lineage.base_path, spec=lineage.spec)
    made.done = [done for n, done in enumerate(lineage.done) if n not in left_out]
    made.finish(folder)
    return made, told


def held(file: Path) -> list[TokenRow]:
    return unpacked(tensor_files.read(file)[0])


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, llama_folder: Path) -> Lineage:
    """Three tasks, each of whose rows may be replayed."""
    return learned(tmp_path_factory.mktemp("three"), llama_folder, **KEEPING)


def test_the_others_deltas_are_folded_as_an_engine_will(three: Lineage) -> None:
    made, told = rebuilt(three, "folded", {1})

    manifest = Manifest.model_validate(manifests.verify(made.done[-1].out))
    loaded = base.load(three.base_path)
    deltas = [Delta.load(three.done[n].out / DELTA_FILE) for n in (0, 2)]
    own = Delta.load(made.done[-1].out / DELTA_FILE, shapes=loaded.facts.modules)
    assert own.modules == {}
    folded = fold.fold(loaded.model, [*deltas, own])
    assert loaded.digest_with(folded) == manifest.digest
    fold.apply(loaded.model, folded)
    canary.check(made.done[-1].out / CANARY_FILE, loaded.model, loaded.tokenizer, loaded.facts.family)
    assert manifest.chain == (identity(three.done[0]), identity(three.done[2]))
    assert (manifest.provenance.task_id, manifest.provenance.left_out) == (None, ("task_2",))
    assert phases(told) == ["preparing", "evaluating", "publishing"]
    assert [("result", f"task_{n}", "exact_match") for n in (1, 2, 3)] == [
        score for score in scores(told) if score[2] == "exact_match"
    ]
    steps = [(event.step, event.total_steps) for event in told if isinstance(event, ProgressEvent)]
    assert steps[-1] == (3, 3)


def test_leaving_out_nothing_but_the_last_gives_the_version_before(three: Lineage) -> None:
    made, _ = rebuilt(three, "back", {2})
    before = Manifest.model_validate(manifests.verify(three.done[1].out))
    assert Manifest.model_validate(manifests.verify(made.done[-1].out)).digest == before.digest


@pytest.mark.parametrize("left_out", [{0}, {1}, {2}, {0, 2}])
def test_no_row_of_a_left_out_task_is_replayed_and_all_others_stay(left_out: set[int], three: Lineage) -> None:
    made, _ = rebuilt(three, f"rows-{'-'.join(map(str, left_out))}", left_out)
    found = {(tuple(row.input_ids), tuple(row.labels)) for row in held(made.done[-1].out / ROWS)}
    own = own_rows(three)
    newest = max(n for n in range(3) if n not in left_out)
    expected = {row for n in range(newest + 1) if n not in left_out for row in own[n]}
    assert found <= expected
    assert found.isdisjoint(row for n in left_out for row in own[n] - expected)
    still = {(tuple(row.input_ids), tuple(row.labels)) for row in held(three.done[newest].out / ROWS)}
    assert found == still & expected


def own_rows(lineage: Lineage) -> list[set[tuple[tuple[int, ...], tuple[int, ...]]]]:
    """Return the rows of each task in tokens; the capacity holds most of all three."""
    found = []
    for done in lineage.done:
        spec = TrainerSpec.model_validate_json(done.spec.read_text())
        task = TaskRun.open(spec, done, report=lambda _: None, stopping=lambda: False)
        found.append({(tuple(row.input_ids), tuple(row.labels)) for row in task._examples(spec.train_rows)})
    return found


def test_a_task_learns_on_top_and_replays_the_others_rows_alone(three: Lineage) -> None:
    made, _ = rebuilt(three, "on-top", {1})
    learn(made, "next")
    own = own_rows(three)
    after = {(tuple(row.input_ids), tuple(row.labels)) for row in held(made.done[-1].out / ROWS)}
    assert after.isdisjoint(own[1] - own[0] - own[2])
    assert after & own[0]
    chain = Manifest.model_validate(manifests.verify(made.done[-1].out)).chain
    assert chain == tuple(identity(done) for done in made.done[:-1])


def test_a_damaged_link_is_refused_even_if_it_is_left_out(three: Lineage) -> None:
    folder = stage(three, "damaged", {1})
    damaged = folder.chain / "1" / DELTA_FILE
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptError, match=DELTA_FILE):
        run(folder)
    assert not folder.out.exists()


def test_it_stops_when_it_is_asked_to(three: Lineage) -> None:
    folder = stage(three, "stopped", {1})
    spec = RebuildSpec.model_validate_json(folder.spec.read_text())
    with pytest.raises(CancelledError):
        RebuildRun.open(spec, folder, report=lambda _: None, stopping=lambda: True).run()


def test_what_breaks_off_is_built_anew_to_the_same_bits(three: Lineage) -> None:
    folder = stage(three, "twice", {1})
    run(folder)
    first = identity(folder)
    run(folder)
    assert identity(folder) == first
    kept = json.loads((folder.out / "scores.json").read_text())
    assert {score["subject"] for score in kept} == {"result"}
