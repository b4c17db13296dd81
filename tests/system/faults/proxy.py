"""A TCP link between a client and the broker that can be cut, stalled, slowed and forgotten; it takes no rights."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.cloud_sync.helpers import free_port

_CHUNK_BYTES = 65_536


@dataclass
class Manner:
    """How a link treats what goes through it.

    Attributes:
        up_is_open: whether bytes pass from the client to the broker; what waits passes later.
        down_is_open: whether bytes pass from the broker to the client.
        portion_bytes: at most so many bytes pass at once.
        delay_s: seconds that each portion takes.
    """

    up_is_open: bool = True
    down_is_open: bool = True
    portion_bytes: int = _CHUNK_BYTES
    delay_s: float = 0.0


@dataclass(eq=False)
class _Pair:
    """The two connections that the link stands between."""

    client: asyncio.StreamWriter
    broker: asyncio.StreamWriter
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def abort(self) -> None:
        self.client.transport.abort()
        self.broker.transport.abort()


class Proxy:
    """Listens where the client looks for the broker.

    Args:
        broker_port: where the broker is.

    Attributes:
        port: where it listens.
        up_bytes: how much has passed from clients to the broker.
        down_bytes: how much has passed from the broker to clients.
    """

    def __init__(self, broker_port: int) -> None:
        self.port = free_port()
        self.up_bytes = self.down_bytes = 0
        self._broker_port = broker_port
        self._manner = Manner()
        self._changed = asyncio.Event()
        self._bites = False
        self._pairs: set[_Pair] = set()
        self._forgotten: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.listen()

    def listen(self) -> None:
        """Take connections."""
        self._do(self._listen())

    def refuse(self) -> None:
        """Take no new connection and end those there are."""
        self._do(self._refuse())

    def behave(self, manner: Manner) -> None:
        """Treat from now on all that passes so."""

        async def change() -> None:
            self._manner = manner
            self._changed.set()
            self._changed = asyncio.Event()

        self._do(change())

    def cut(self) -> None:
        """Reset all connections now."""
        self._for_each(_Pair.abort)

    def bite(self) -> None:
        """Reset each connection in the middle of what it brings next."""

        async def note() -> None:
            self._bites = True

        self._do(note())

    def forget(self, *, client_notices: bool) -> None:
        """Lose all connections at one end only; the other end hears nothing more, and no end of it."""

        def lose(pair: _Pair) -> None:
            for task in pair.tasks:
                task.cancel()
            noticing, other = (pair.client, pair.broker) if client_notices else (pair.broker, pair.client)
            noticing.transport.abort()
            self._forgotten.append(other)

        self._for_each(lose)

    def mend(self) -> None:
        """Take and pass everything again; what was forgotten stays so."""
        self._bites = False
        self.behave(Manner())
        self.listen()

    def close(self) -> None:
        """End the link."""
        self._do(self._refuse())
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _for_each(self, action: Callable[[_Pair], None]) -> None:
        async def act() -> None:
            for pair in list(self._pairs):
                action(pair)
                self._pairs.discard(pair)

        self._do(act())

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for pair in self._pairs:
            pair.abort()

    async def _end(self) -> None:
        for writer in self._forgotten:
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._broker_port)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, to_broker)
        self._pairs.add(pair)

        def count_up(size: int) -> None:
            self.up_bytes += size

        def count_down(size: int) -> None:
            self.down_bytes += size

        upward = self._pump(pair, reader, to_broker, lambda: self._manner.up_is_open, count_up)
        downward = self._pump(pair, from_broker, writer, lambda: self._manner.down_is_open, count_down)
        pair.tasks = [asyncio.ensure_future(way) for way in (upward, downward)]
        await asyncio.wait(pair.tasks)
        if pair in self._pairs:
            self._pairs.discard(pair)
            pair.abort()

    async def _pump(
        self,
        pair: _Pair,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        is_open: Callable[[], bool],
        count: Callable[[int], None],
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(self._manner.portion_bytes):
                while not is_open():
                    await self._changed.wait()
                if self._manner.delay_s:
                    await asyncio.sleep(self._manner.delay_s)
                if self._bites:
                    target.write(data[: len(data) // 2])
                    await target.drain()
                    break
                target.write(data)
                await target.drain()
                count(len(data))
        if pair in self._pairs:
            pair.abort()
