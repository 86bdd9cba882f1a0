"""One installation under fire: real processes on loopback, started as in production, with times fit for a test."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.domain.crash_points import VARIABLE as FUSES
from core.registry.work import Registry
from core.settings import Settings
from migrations.commands import upgrade
from strata.embedded import service as embedded
from tests.chaos import servers
from tests.chaos.kit import Kit
from tests.chaos.processes import Keeper, Service, clean_environment
from tests.chaos.servers import Servers
from tests.compose_stack import ROOT, Places, free_port, services

# More than die at a time: what the faults leave alive must be enough for jobs to come to their ends.
WORKERS = 5
LEASE_SECONDS = 1.2
QUICK = {
    "STRATA_LEASE_SECONDS": str(LEASE_SECONDS),
    "STRATA_BEAT_SECONDS": "0.25",
    "STRATA_SWEEP_SECONDS": "0.3",
    "STRATA_POLL_SECONDS": "0.2",
    "STRATA_STOP_GRACE_SECONDS": "3",
    "STRATA_ENGINE_TIMEOUT_SECONDS": "10",
    # Under fire a job is interrupted more often than any real one; none of them is poison.
    "STRATA_BARREN_LIMIT": "1000",
    "STRATA_MIN_FREE_BYTES": "0",
    "STRATA_DEVICE": "cpu",
    "STRATA_TRAINER_THREADS": "1",
    "STRATA_ENGINE_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything of one installation is.

    Attributes:
        registry: for the harness itself: past the proxy, as the processes see it otherwise.
        servers: PostgreSQL and Redis, where the site has them.
    """

    engine: str
    root: Path
    url: str
    keeper: Keeper
    registry: Registry
    servers: Servers | None = None

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def jobs_dir(self) -> Path:
        return self.data_dir / "jobs"

    @property
    def full_flag(self) -> Path:
        """While this file exists, the disk is full."""
        return self.root / "full"

    @property
    def clock(self) -> Path:
        """By how much the clock of all processes is wrong; see faults.c."""
        return self.root / "clock"

    @property
    def history(self) -> Path:
        return self.root / "history.jsonl"

    def fuses(self, kind: str) -> Path:
        """Return the folder of the fuses of one kind of process."""
        return self.root / "fuses" / kind


def environment(root: Path, kit: Kit, kind: str) -> dict[str, str]:
    """Return what every process of a kind gets, however it is started: times, faults, and how trainers are started."""
    fuses = root / "fuses" / "trainer"
    faults = [f"LD_PRELOAD={kit.faults}", f"CHAOS_FULL={root / 'full'}", f"{FUSES}={fuses}"]
    trainer = ["env", *faults, sys.executable, "-m", "tests.chaos.trainer", str(kit.root)]
    return {
        **QUICK,
        "LD_PRELOAD": str(kit.faults),
        "CHAOS_FULL": str(root / "full"),
        "CHAOS_CLOCK": str(root / "clock"),
        "CHAOS_TIED": "1",
        FUSES: str(root / "fuses" / kind),
        "STRATA_COMPUTE_COMMAND": shlex.join(trainer),
    }


@contextmanager
def running(engine: str, root: Path, kit: Kit, *, workers: Sequence[str] = ()) -> Iterator[Site]:
    """Start a site in ``root``, anew; stop its processes afterwards and leave its files.

    ``workers`` are the modules that run instead of the site's own workers, one process each.
    """
    shutil.rmtree(root, ignore_errors=True)
    for kind in ("api", "worker", "trainer", "engine", "beat"):
        (root / "fuses" / kind).mkdir(parents=True)
    (root / "logs").mkdir()
    (root / "clock").write_bytes(bytes(8))
    with ExitStack() as held:
        if engine == "sqlite":
            site = _embedded(root, kit, workers)
        else:
            site = _production(root, kit, held.enter_context(servers.running(root)))
        held.callback(site.registry.close)
        held.callback(site.keeper.stop)
        site.keeper.start()
        yield site


def _embedded(root: Path, kit: Kit, workers: Sequence[str]) -> Site:
    """The processes of `strata up`, with more workers, and with a keeper that never gives up."""
    settings = Settings(data_dir=root / "data", api_port=free_port())
    settings.data_dir.mkdir()
    upgrade(settings.database_url)
    made = []
    for program in embedded.programs():
        if workers and program.name == "engine":
            # Nobody asks the models of a site whose workers are not its own.
            continue
        modules = workers or (program.module,) * WORKERS if program.name == "worker" else (program.module,)
        for copy, module in enumerate(modules):
            own = embedded.environment(settings, clean_environment()) | environment(root, kit, program.name)
            # Without -P where the module is the harness's own.
            python = [sys.executable, *(["-P"] if module == program.module else [])]
            command = [*python, "-m", module, *program.arguments]
            name = f"{program.name}-{copy}"
            made.append(Service(name, command, own, root / "logs" / f"{name}.log"))
    url = f"http://127.0.0.1:{settings.api_port}"
    return Site(engine="sqlite", root=root, url=url, keeper=Keeper(made), registry=Registry(settings.database_url))


def _production(root: Path, kit: Kit, servers: Servers) -> Site:
    """The services of docker-compose.yml, their addresses leading over the proxies."""
    places = Places(root / "data", root / "secrets", free_port(), free_port(), {})
    places.data_dir.mkdir()
    places.write_secrets(database_url=servers.database_url, broker_url=servers.broker_url)
    composed = services()
    migrate = composed["migrate"]
    subprocess.run(places.command(migrate), env=places.environment(migrate), cwd=ROOT, check=True, capture_output=True)
    made = []
    for kind in ("api", "beat", "worker", "engine"):
        for copy in range(WORKERS if kind == "worker" else 1):
            own = places.environment(composed[kind]) | environment(root, kit, kind)
            name = f"{kind}-{copy}"
            made.append(Service(name, places.command(composed[kind]), own, root / "logs" / f"{name}.log"))
    registry = Registry(servers.direct_url)
    return Site(engine="postgresql", root=root, url=places.url, keeper=Keeper(made), registry=registry, servers=servers)
