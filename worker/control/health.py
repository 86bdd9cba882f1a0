"""`python -m worker.control.health`: exit 0 if a worker of these settings can reach the registry, for container probes."""

import sys

from core.domain.errors import UnavailableError
from core.registry.work import Registry
from core.settings import Settings


def main(settings: Settings) -> int:
    """Look at the registry once."""
    registry = Registry(settings.database_url)
    try:
        with registry.read() as work:
            work.now_ms()
    except UnavailableError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    finally:
        registry.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Settings()))
