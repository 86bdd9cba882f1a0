"""The computations of the real one, each a function of a job's folder."""

import hashlib
import signal
import sys
import time
from pathlib import Path

from core.domain.base_facts import BaseFacts
from core.domain.export_spec import KIND, PARITY_FILE, README_FILE, ExportSpec
from core.domain.exports import Parity
from core.domain.job_folder import ErrorEvent, ExitCode, JobFolder, PhaseEvent, ProgressEvent
from core.domain.jobs import Phase
from core.domain.trainer_spec import InspectSpec, RebuildSpec
from core.storage import durable, lineages, manifests
from tests.fake_trainer.behaviours import BEHAVIOURS, ok
from tests.fake_trainer.trainer import MODULE, FakeTrainer, say


def train(root: Path) -> int:
    trainer = FakeTrainer(root)
    behaviour = trainer.spec.tasks[-1].name.split("-")[0]
    return BEHAVIOURS.get(behaviour, ok)(trainer)


def rebuild(root: Path) -> int:
    """Leaves the version that was asked for; after two seconds, if it is asked to leave out a brief task."""
    trainer = FakeTrainer(root, RebuildSpec)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.CANCELLED))
    gone = trainer.spec.provenance["left_out"]
    if any(task.task_id in gone and task.name.startswith("brief") for task in trainer.spec.tasks):
        trainer.learn(steps=20, seconds=0.1)
    trainer.leave_version()
    return ExitCode.OK


def inspect(root: Path) -> int:
    folder = JobFolder(root)
    spec = InspectSpec.model_validate_json(folder.spec.read_text())
    if spec.source.endswith("broken"):
        return ExitCode.INVALID_SPEC
    target = Path(spec.target)
    target.mkdir(parents=True)
    (target / "config.json").write_text("{}")
    folder.out.mkdir()
    digest = hashlib.sha256(spec.source.encode()).hexdigest()
    (folder.out / "facts.json").write_text(facts(digest).model_dump_json())
    return ExitCode.OK


def export(root: Path) -> int:
    """Leaves the chain's deltas as one file, with a proof; slowly, if the version's last task is a brief one."""
    folder = JobFolder(root)
    spec = ExportSpec.model_validate_json(folder.spec.read_text())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.CANCELLED))
    say(folder, PhaseEvent(phase=Phase.PREPARING))
    if spec.card.tasks and spec.card.tasks[-1].name.startswith("brief"):
        for n in range(1, 21):
            say(folder, ProgressEvent(step=n, total_steps=20))
            time.sleep(0.1)
    if spec.card.tasks and spec.card.tasks[-1].name.startswith("odd"):
        say(folder, ErrorEvent(code="parity_failed", detail="the export is not the version"))
        return ExitCode.INVALID_SPEC
    if spec.lineage is not None:
        durable.copy_tree(root / spec.lineage, folder.out)
    else:
        folder.out.mkdir()
        (folder.out / "deltas").write_bytes(
            b"".join((root / link.folder / "delta.safetensors").read_bytes() for link in spec.chain)
        )
    proof = Parity(
        version_digest=spec.version_digest,
        same_tensors=True,
        prompts=("?",),
        max_abs_difference=0.0,
        largest_logit=1.0,
        tolerance=1e-4,
        opened_by={},
    )
    (folder.out / PARITY_FILE).write_text(proof.model_dump_json())
    (folder.out / README_FILE).write_text(f"# {spec.card.version}\n")
    body = lineages.body(spec.card.model) if spec.lineage else {"kind": KIND}
    manifests.seal(folder.out, body | {"export": spec.identity()})
    return ExitCode.OK


def facts(digest: str) -> BaseFacts:
    return BaseFacts(
        family="causal",
        architecture="Fake",
        modules={MODULE: (8, 8), MODULE.replace("q_proj", "v_proj"): (8, 8)},
        blocks={MODULE: "model.layers.0", MODULE.replace("q_proj", "v_proj"): "model.layers.0"},
        default_targets=("q_proj", "v_proj"),
        context_tokens=2048,
        vocabulary=100,
        parameters=128,
        size_bytes=512,
        digest=digest,
        tokenizer_sha256="1" * 64,
        end_token="</s>",
        end_token_id=0,
        chat_template=None,
    )
