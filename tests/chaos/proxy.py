"""A TCP proxy that can be slow, dumb or rude: what a network does to those who talk over it."""

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Self

PIECE_BYTES = 65536
# Closing with this set sends a reset instead of a farewell.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def to_port(port: int) -> Connect:
    return lambda: asyncio.open_connection("127.0.0.1", port)


def to_socket(path: str) -> Connect:
    return lambda: asyncio.open_unix_connection(path)


class FaultProxy:
    """Listens on a port of loopback and passes on to what ``connect`` reaches; its loop runs on a thread of its own."""

    def __init__(self, port: int, connect: Connect) -> None:
        self._port = port
        self._connect = connect
        self._latency_seconds = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def delay(self, seconds: float) -> None:
        """Hold every piece back for so long."""
        self._latency_seconds = seconds

    def swallow(self) -> None:
        """Pass nothing on, in either direction; nobody is told. What is held back follows with `heal`."""
        self._loop.call_soon_threadsafe(self._open_road.clear)

    def heal(self) -> None:
        """Pass everything on at once, again."""
        self._latency_seconds = 0.0
        self._loop.call_soon_threadsafe(self._open_road.set)

    def reset(self) -> None:
        """Break every connection off with a reset."""
        self._run(self._reset())

    def _run(self, work: Any) -> None:
        future: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        future.result(10)

    async def _open(self) -> None:
        self._open_road = asyncio.Event()
        self._open_road.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def _close(self) -> None:
        self._server.close()
        await self._reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _reset(self) -> None:
        for writer in list(self._writers):
            found = writer.get_extra_info("socket")
            if found is not None and found.family == socket.AF_INET:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        ends = [writer]
        try:
            await self._open_road.wait()
            upstream, downstream = await self._connect()
            ends.append(downstream)
            self._writers.update(ends)
            await asyncio.gather(self._pass_on(reader, downstream), self._pass_on(upstream, writer))
        except (OSError, asyncio.CancelledError):
            pass  # a connection that broke is what this proxy is for
        finally:
            for end in ends:
                self._writers.discard(end)
                end.close()
            self._tasks.discard(task) if task is not None else None

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await asyncio.sleep(self._latency_seconds)
            await self._open_road.wait()
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
