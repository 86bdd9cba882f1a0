"""A trainer without torch that speaks the whole protocol of a job's folder: ``-m tests.fake_trainer <module> <folder>``.

What it does is named by the first word of the task's name (or, to inspect, by the last part of the source).
"""

import json
import os
import sys
from pathlib import Path

from tests.fake_trainer.computations import export, inspect, rebuild, train
from worker.compute import lifeline

COMPUTATIONS = {
    "worker.compute.trainer": train,
    "worker.compute.rebuild": rebuild,
    "worker.compute.export": export,
    "worker.compute.inspect": inspect,
}


def main() -> int:
    lifeline.hold()
    module, root = sys.argv[1], Path(sys.argv[2])
    (root / "environment.json").write_text(json.dumps(dict(os.environ)))
    (root / "trainer.pid").write_text(str(os.getpid()))
    return COMPUTATIONS[module](root)


if __name__ == "__main__":
    sys.exit(main())
