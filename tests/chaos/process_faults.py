"""Harm done to the service's own processes, to their disk and to their clocks."""

import signal
import struct
from collections import Counter

from core.domain.crash_points import POINTS
from tests.chaos.processes import Service, Trainer, group_of, is_alive, send, state_of, trainers
from tests.chaos.scene import Scene, Table
from tests.chaos.site import LEASE_SECONDS

FUSE_SECONDS = 3.0
# An orphan is gone within two seconds; a busy machine may need another one to look.
ORPHAN_SECONDS = 3.0
# A task that is really trained needs some seconds in peace to get anywhere.
MOST_HITS_OF_REAL = 2
SKEW_SECONDS = 3600
# A worker of Celery has a child that does the work: sometimes that one is left to itself.
WHOLE = 0.7
POINTS_OF = {
    "api": ("commit", "fsync", "rename", "wake"),
    "worker": ("claim", "commit", "fsync", "publish", "removal", "rename", "spec", "store", "trainer"),
    "trainer": ("fsync", "removal", "rename"),
    "engine": ("flip", "removal", "rename"),
}
FUSES_AMONG = {"api": 2, "worker": 6, "trainer": 3, "engine": 1}


class ProcessFaults:
    """On any site."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._site = scene.site
        self._random = scene.random
        self._hits: Counter[str] = Counter()

    def table(self) -> Table:
        beyond = (LEASE_SECONDS + 0.5, LEASE_SECONDS + 1.5)
        return {
            "kill api": (1.5, lambda: self._kill("api")),
            "stop api": (4, lambda: self._stop("api", 0.1, 1.0)),
            "kill worker": (4, lambda: self._kill("worker")),
            "stop worker": (4, lambda: self._stop("worker", 0.1, 0.6)),
            "stop worker beyond its lease": (3, lambda: self._stop("worker", *beyond)),
            "kill trainer": (10, lambda: self._harm_trainer(signal.SIGKILL)),
            "stop trainer": (5, lambda: self._harm_trainer(signal.SIGSTOP)),
            "kill engine": (0.7, lambda: self._kill("engine")),
            "stop engine": (3, lambda: self._stop("engine", 0.1, 1.0)),
            "fill the disk": (2, self._fill_disk),
            "place a fuse": (12, self._place_fuse),
        }

    def table_of_one_machine(self) -> Table:
        """Where the database is a file, its clock is the machine's: that one jumps for all at once."""
        return {"the clock jumps": (1, self._jump)}

    def table_of_many_machines(self) -> Table:
        return {
            "kill worker, then a wrong clock": (1, self._skew),
            "kill beat": (1, lambda: self._kill("beat")),
        }

    def _kill(self, kind: str) -> str | None:
        victim = self._victim(kind)
        if victim is None:
            return None
        orphans = self._trainers_of(victim)
        if not victim.deliver(signal.SIGKILL, group=self._random.random() < WHOLE):
            return None
        self._expect_death(orphans)
        return victim.name

    def _skew(self) -> str | None:
        victim = self._victim("worker")
        if victim is None:
            return None
        skew = self._random.randint(-SKEW_SECONDS, SKEW_SECONDS)
        victim.environment = {**victim.environment, "CHAOS_SKEW_SECONDS": str(skew)}
        orphans = self._trainers_of(victim)
        if not victim.deliver(signal.SIGKILL):
            return None
        self._expect_death(orphans)
        return f"{victim.name} by {skew:+d} s"

    def _jump(self) -> str:
        seconds = self._random.randint(-SKEW_SECONDS, SKEW_SECONDS)
        with self._site.clock.open("r+b") as clock:
            clock.write(struct.pack("l", seconds))
        return f"to {seconds:+d} s"

    def _stop(self, kind: str, least: float, most: float) -> str | None:
        victim = self._victim(kind)
        if victim is None or not victim.deliver(signal.SIGSTOP):
            return None
        seconds, process = self._random.uniform(least, most), victim.process

        def go_on() -> None:
            if victim.process is process:
                victim.deliver(signal.SIGCONT)

        self._scene.schedule.after(seconds, go_on)
        return f"{victim.name} for {seconds:.1f} s"

    def _harm_trainer(self, number: signal.Signals) -> str | None:
        found = [each for each in trainers(self._site.jobs_dir) if self._may_hit(each)]
        if not found:
            return None
        victim = self._random.choice(found)
        self._hits[victim.job_id] += 1
        send(victim.pid, number)
        if number == signal.SIGSTOP:
            seconds = self._random.uniform(0.1, 1.5)
            self._scene.schedule.after(seconds, lambda: send(victim.pid, signal.SIGCONT))
        return victim.job_id

    def _victim(self, kind: str) -> Service | None:
        found = self._site.keeper.of_kind(kind)
        held = self._held_by(found)
        found = [service for service in found if all(self._may_hit(each) for each in held[service.name])]
        if not found:
            return None
        victim = self._random.choice(found)
        self._hits.update(each.job_id for each in held[victim.name])
        return victim

    def _may_hit(self, trainer: Trainer) -> bool:
        return not trainer.is_real or self._hits[trainer.job_id] < MOST_HITS_OF_REAL

    def _trainers_of(self, service: Service) -> list[Trainer]:
        return self._held_by([service])[service.name]

    def _held_by(self, services: list[Service]) -> dict[str, list[Trainer]]:
        """Return the trainers of each service by its name, from one look at all processes."""
        held: dict[str, list[Trainer]] = {service.name: [] for service in services}
        workers = {pid: service.name for service in services if service.kind == "worker" and (pid := service.pid)}
        for each in trainers(self._site.jobs_dir) if workers else ():
            group = group_of(each.parent)
            if group in workers:
                held[workers[group]].append(each)
        return held

    def _expect_death(self, orphans: list[Trainer]) -> None:
        def look() -> None:
            left = [each.job_id for each in orphans if is_alive(each.pid)]
            self._scene.breaks.extend(f"I10: the trainer of {job_id} outlived its worker" for job_id in left)

        if orphans:
            self._scene.schedule.after(ORPHAN_SECONDS, look)

    def _fill_disk(self) -> str | None:
        flag = self._site.full_flag
        if flag.exists():
            return None
        flag.touch()
        seconds = self._random.uniform(0.3, 1.5)
        self._scene.schedule.after(seconds, lambda: flag.unlink(missing_ok=True))
        return f"for {seconds:.1f} s"

    def _place_fuse(self) -> str | None:
        kind = self._random.choices(list(FUSES_AMONG), list(FUSES_AMONG.values()))[0]
        point = self._random.choice(sorted(name for name in POINTS if name.partition(".")[0] in POINTS_OF[kind]))
        wish = self._random.choices(("kill", "stop"), (3, 1))[0]
        fuse = self._site.fuses(kind) / point
        fuse.write_text(f"{wish} {self._random.randint(1, 6)}")

        def look() -> None:
            try:
                fuse.unlink()
            except FileNotFoundError:
                self._scene.note(f"{wish} at a crash point", f"{kind} at {point}")
                self._thaw()

        self._scene.schedule.after(FUSE_SECONDS, look)
        # It counts once it has burnt.
        return None

    def _thaw(self) -> None:
        """Let everything of the site go on that stopped itself."""
        for service in self._site.keeper.services:
            service.deliver(signal.SIGCONT)
        for trainer in trainers(self._site.jobs_dir):
            if state_of(trainer.pid) == "T":
                send(trainer.pid, signal.SIGCONT)
