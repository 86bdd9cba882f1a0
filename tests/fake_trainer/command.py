"""How a worker starts it."""

import shlex
import sys
from pathlib import Path

# The service is installed and its tests are not: they are found from the repository, wherever a worker stands.
COMMAND = ["env", f"PYTHONPATH={Path(__file__).parents[2]}", sys.executable, "-m", "tests.fake_trainer"]
COMMAND_LINE = shlex.join(COMMAND)
