"""Harm done to PostgreSQL, to Redis, and to the network before them."""

import signal
import time

from tests.chaos.processes import processes_below, send
from tests.chaos.scene import Scene, Table
from tests.chaos.servers import Servers


class ServerFaults:
    """On a site that has servers."""

    def __init__(self, scene: Scene, servers: Servers) -> None:
        self._scene = scene
        self._servers = servers
        self._random = scene.random

    def table(self) -> Table:
        return {
            "kill redis": (1.5, self._kill_redis),
            "flush redis": (1.5, self._flush_redis),
            "stop redis": (1.5, self._stop_redis),
            "kill a session of postgresql": (1, self._kill_session),
            "end all sessions of postgresql": (1.5, self._end_sessions),
            "restart postgresql": (0.7, self._restart_postgresql),
            "slow network": (3, lambda: self._network("slow")),
            "silent network": (3, lambda: self._network("silent")),
            "connections reset": (4, lambda: self._network("reset")),
        }

    def _kill_redis(self) -> str:
        self._servers.redis.kill()
        return self._revive_later()

    def _stop_redis(self) -> str:
        self._servers.redis.process.send_signal(signal.SIGSTOP)
        return self._revive_later()

    def _revive_later(self) -> str:
        seconds = self._random.uniform(0.2, 2)
        self._scene.schedule.after(seconds, self._servers.redis.revive)
        return f"for {seconds:.1f} s"

    def _flush_redis(self) -> str | None:
        try:
            self._servers.redis.flush()
        except OSError:
            return None
        return "all keys"

    def _kill_session(self) -> str | None:
        """PostgreSQL answers the violent death of one session by ending all, and recovers from its log."""
        sessions = self._sessions()
        if not sessions:
            return None
        send(self._random.choice(sessions), signal.SIGKILL)
        return f"1 of {len(sessions)}"

    def _end_sessions(self) -> str | None:
        sessions = self._sessions()
        for pid in sessions:
            send(pid, signal.SIGTERM)
        return f"{len(sessions)}" if sessions else None

    def _restart_postgresql(self) -> str:
        self._servers.postgres.stop()
        seconds = self._random.uniform(0, 1)
        time.sleep(seconds)
        self._servers.postgres.start()
        return f"after {seconds:.1f} s"

    def _sessions(self) -> list[int]:
        server = int((self._servers.postgres.data / "postmaster.pid").read_text().splitlines()[0])
        return [pid for pid, words in processes_below(server) if " strata strata " in words]

    def _network(self, how: str) -> str:
        proxy = self._random.choice(self._servers.proxies)
        name = "postgresql" if proxy is self._servers.database_proxy else "redis"
        if how == "reset":
            proxy.reset()
            return name
        if how == "silent":
            proxy.swallow()
        else:
            proxy.delay(self._random.uniform(0.02, 0.3))
        seconds = self._random.uniform(0.2, 2)
        self._scene.schedule.after(seconds, proxy.heal)
        return f"{name} for {seconds:.1f} s"
