"""What an operator's restart command does, for the fake server: ends the old process, starts one on the other folder.

``python vllm_restarted.py STATE_FOLDER`` reads the variables that the service hands to `vllm_restart_command`.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main(state: Path) -> None:
    """End the server of ``$VLLM_ADDRESS``, if one runs, and start it again; do not wait until it is ready."""
    port = os.environ["VLLM_ADDRESS"].rpartition(":")[2]
    written = state / f"{port}.pid"
    if written.exists():
        _end(int(written.read_text()))
        written.unlink()
    if (state / f"{port}.broken").exists():
        sys.exit(1)
    arguments = [port, os.environ["VLLM_SERVED_MODEL_NAME"], os.environ["VLLM_MODEL"]]
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fake_vllm.py")), *arguments], start_new_session=True
    )
    written.write_text(str(process.pid))


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
            return
        time.sleep(0.01)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
