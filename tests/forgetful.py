"""A way to Kafka on which, for a while, the cluster names no broker: as one does that lets its broker in again."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from framewatch.ports import LOOPBACK

_METADATA: Final = 3  # key of the question which brokers there are
_NO_ONE: Final = b"\x01"  # a list without entries, in Kafka's compact form


class Forgetful:
    """Passes on what clients and the broker say. While ``forgets``, answers about the cluster name no broker, and
    end the connection: librdkafka 2.16 then has no address left, see ``kafka.broker_health``.
    """

    def __init__(self, host: str, port: int) -> None:
        self.forgets = False
        self._broker = (host, port)
        self.address = ""

    async def serve(self, ready: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._pass_on, LOOPBACK, 0) as server:
            self.address = f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await self._stopped.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _pass_on(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        asked: set[int] = set()
        with suppress(OSError, asyncio.IncompleteReadError):
            broker, to_broker = await asyncio.open_connection(*self._broker)
            try:
                pumps = [
                    asyncio.ensure_future(self._questions(client, to_broker, asked)),
                    asyncio.ensure_future(self._answers(broker, to_client, asked)),
                ]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
            finally:
                to_broker.close()
        to_client.close()

    async def _questions(
        self, client: asyncio.StreamReader, to_broker: asyncio.StreamWriter, asked: set[int]
    ) -> None:
        while True:
            message = await _message(client)
            key, version, number = struct.unpack(">hhi", message[:8])
            if key == _METADATA:
                assert version >= 9, version  # since which answers are as read below
                asked.add(number)
            to_broker.write(_framed(message))
            await to_broker.drain()

    async def _answers(self, broker: asyncio.StreamReader, to_client: asyncio.StreamWriter, asked: set[int]) -> None:
        while True:
            message = await _message(broker)
            (number,) = struct.unpack(">i", message[:4])
            last = self.forgets and number in asked
            asked.discard(number)
            to_client.write(_framed(_without_brokers(message) if last else message))
            await to_client.drain()
            if last:
                return


@contextmanager
def forgetful(kafka: str) -> Iterator[Forgetful]:
    """One on the way to the given broker's address."""
    host, port = kafka.rsplit(":", 1)
    way, ready = Forgetful(host, int(port)), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(way.serve(ready)))
    thread.start()
    assert ready.wait(60)
    try:
        yield way
    finally:
        way.close()
        thread.join(60)


async def _message(end: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await end.readexactly(4))
    return await end.readexactly(size)


def _framed(message: bytes) -> bytes:
    return struct.pack(">i", len(message)) + message


def _without_brokers(answer: bytes) -> bytes:
    """Number, no tags, throttle time, brokers, and all the rest (Metadata answer since version 9)."""
    begin = end = 4 + 1 + 4
    count, end = _size(answer, end)
    for _ in range(count):
        end += 4  # its id
        host, end = _size(answer, end)
        end += host + 4  # and its port
        rack, end = _size(answer, end)
        end += rack
        tags, end = _size(answer, end)
        assert tags <= 0
    return answer[:begin] + _NO_ONE + answer[end:]


def _size(data: bytes, at: int) -> tuple[int, int]:
    """A size in Kafka's compact form, one less than is written, and where it ends; 0 for none."""
    written = shift = 0
    while True:
        byte = data[at]
        at += 1
        written |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return max(0, written - 1), at
