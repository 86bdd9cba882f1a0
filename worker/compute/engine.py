"""The engine process: ``python -m worker.compute.engine``. Everything it needs is in the settings."""

import os


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    # OpenMP's threads spin between kernels unless told otherwise before torch is loaded. On cores that a trainer also
    # uses, spinning costs ten times the time of a small model's step.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from worker.compute.engine_process import run

    run()


if __name__ == "__main__":
    main()
