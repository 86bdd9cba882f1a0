"""The process of an `export` job: ``python -m worker.compute.export <job folder>``.

It reads ``spec.json`` (`ExportSpec`) and leaves the version's files, with the proof that they are it, in ``out``. Events,
exit codes and the polite stop are those of `worker.compute.trainer`.
"""

import sys
from typing import Final

from core.domain.export_spec import ExportSpec
from core.domain.job_folder import JobFolder, PhaseEvent, ProgressEvent
from core.domain.jobs import Phase
from worker.compute import trainer
from worker.compute.trainer import EventLog, Stopping

_STEPS: Final = (Phase.PREPARING, Phase.PUBLISHING, Phase.EVALUATING)


def main(arguments: list[str]) -> int:
    """Run the job of a folder and return the exit code."""
    return trainer.run(_export, arguments)


def _export(folder: JobFolder, report: EventLog, stopping: Stopping) -> None:
    spec = ExportSpec.model_validate_json(folder.spec.read_bytes())
    from core.learning.trainer import CancelledError
    from core.weights.exporting import run

    def enter(phase: Phase) -> None:
        if stopping():
            raise CancelledError("stopped between two phases of an export")
        report(PhaseEvent(phase=phase))
        report(ProgressEvent(step=_STEPS.index(phase), total_steps=len(_STEPS)))

    run.write(spec, folder, enter=enter)
    report(ProgressEvent(step=len(_STEPS), total_steps=len(_STEPS)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
