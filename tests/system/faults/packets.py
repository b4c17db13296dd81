"""A network of three hosts whose packets are dropped, delayed, doubled and reordered, as `tc netem` would.

Each host is a network namespace with a TUN device, and this process is the wire between them: it reads every IP packet
and passes it on, or not. Kernels without netem take part too; what it takes is the right to make namespaces.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import selectors
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.system.faults.world import World

ADDRESSES = {"device": "10.77.0.1", "broker": "10.77.0.2", "server": "10.77.0.3"}
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_LONGEST_PACKET = 65_536


@dataclass(frozen=True)
class Wire:
    """What becomes of a host's packets, to it and from it.

    Attributes:
        drop: share that is lost.
        double: share that arrives twice.
        delay_s: each is delayed by up to so long, each by its own time, so that they overtake each other.
    """

    drop: float = 0.0
    double: float = 0.0
    delay_s: float = 0.0


class Network:
    """Three hosts and the wire."""

    def __init__(self) -> None:
        self._hosts = {name: _Host(address) for name, address in ADDRESSES.items()}
        self._wires = dict.fromkeys(ADDRESSES, Wire())
        self._chance = random.Random()
        self._order = count()
        self._coming: list[tuple[float, int, str, bytes]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def enter(self, host: str) -> Sequence[str]:
        """Words before a command that make it run on a host."""
        return self._hosts[host].enter

    def seed(self, seed: int) -> None:
        """What becomes of each packet follows from this now, and from their order."""
        self._chance.seed(seed)

    def behave(self, host: str, wire: Wire) -> None:
        """Treat what goes to and from a host so from now on."""
        self._wires[host] = wire

    def mend(self) -> None:
        """All packets arrive, once and in order."""
        self._wires = dict.fromkeys(ADDRESSES, Wire())

    def close(self) -> None:
        """End wire and hosts."""
        self._stop.set()
        self._thread.join()
        for host in self._hosts.values():
            host.close()

    def _pass_on(self) -> None:
        by_address = {bytes(map(int, ADDRESSES[name].split("."))): name for name in ADDRESSES}
        with selectors.DefaultSelector() as selector:
            for name, host in self._hosts.items():
                selector.register(host.open(), selectors.EVENT_READ, name)
            while not self._stop.is_set():
                wait_s = min(0.2, max(0.0, self._coming[0][0] - time.monotonic())) if self._coming else 0.2
                for key, _ in selector.select(wait_s):
                    packet = os.read(key.fd, _LONGEST_PACKET)
                    target = by_address.get(packet[16:20])
                    if packet[0] >> 4 == 4 and target is not None:
                        self._schedule(key.data, target, packet)
                while self._coming and self._coming[0][0] <= time.monotonic():
                    _, _, target, packet = heapq.heappop(self._coming)
                    with contextlib.suppress(OSError):
                        self._hosts[target].write(packet)

    def _schedule(self, source: str, target: str, packet: bytes) -> None:
        delay_s, times = 0.0, 1
        for wire in (self._wires[source], self._wires[target]):
            if self._chance.random() < wire.drop:
                return
            times += self._chance.random() < wire.double
            delay_s += wire.delay_s
        for _ in range(times):
            arrives = time.monotonic() + (self._chance.uniform(0, delay_s) if delay_s else 0.0)
            heapq.heappush(self._coming, (arrives, next(self._order), target, packet))


class _Host:
    """A network namespace, held by a process that sleeps."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._namespace = Path(f"/proc/{self._holder.pid}/ns/net")
        deadline = time.monotonic() + 10
        while self._namespace.readlink() == Path("/proc/self/ns/net").readlink():
            assert time.monotonic() < deadline, "no network namespace was made"
            time.sleep(0.005)
        self.enter: Sequence[str] = ("nsenter", f"--net={self._namespace}")
        self._device = -1

    def open(self) -> int:
        """Make its network device; to be called in a thread of its own, which is elsewhere afterwards."""
        with self._namespace.open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._device, _TUNSETIFF, struct.pack("16sH22x", b"tun0", _IFF_TUN | _IFF_NO_PI))
        for words in (f"address add {self._address}/24 dev tun0", "link set tun0 up", "link set lo up"):
            subprocess.run(["ip", *words.split()], check=True)
        return self._device

    def write(self, packet: bytes) -> None:
        """Have a packet arrive."""
        os.write(self._device, packet)

    def close(self) -> None:
        os.close(self._device)
        self._holder.kill()
        self._holder.wait()


@dataclass(frozen=True)
class BadLinks:
    """Packets are lost, doubled and overtake each other, up to all of them being lost, at one end or both.

    Attributes:
        network: whose packets.
    """

    network: Network

    def strike(self, world: World, chance: random.Random) -> list[str]:
        """Make links bad for a while."""
        del world
        self.network.seed(chance.getrandbits(64))
        time.sleep(chance.uniform(0.0, 0.2))
        done = []
        for host in chance.sample(("device", "server"), chance.randint(1, 2)):
            wire = chance.choice(
                (Wire(drop=1.0), Wire(chance.uniform(0, 0.5), chance.uniform(0, 0.5), chance.uniform(0, 0.05)))
            )
            self.network.behave(host, wire)
            done.append(f"{host} {'parted' if wire.drop == 1.0 else 'badly linked'}")
        time.sleep(chance.uniform(0.1, 1.5))
        return done

    def mend(self) -> None:
        """Good links again."""
        self.network.mend()
