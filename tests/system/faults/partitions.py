"""Links that are cut, stalled, slowed and forgotten between device and broker, and between server and broker."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.system.faults.proxy import Manner, Proxy
from tests.system.faults.world import World

# longer than the uplink waits for a sign of life, so that some partitions are noticed and some are not
_LONGEST_S = 1.2


@dataclass(frozen=True)
class Partitions:
    """Parts the ends from the broker, one or both.

    Attributes:
        device: the device's link.
        server: the server's link.
    """

    device: Proxy
    server: Proxy

    def strike(self, world: World, chance: random.Random) -> list[str]:
        """One or two things in a row, on one link or both."""
        del world
        done = []
        for _ in range(chance.randint(1, 2)):
            time.sleep(chance.uniform(0.0, 0.3))
            for name in chance.sample(("device", "server"), chance.randint(1, 2)):
                proxy: Proxy = getattr(self, name)
                what, act = chance.choice(self._ways(proxy, chance, is_device=name == "device"))
                act()
                done.append(f"{name} {what}")
        time.sleep(chance.uniform(0.05, _LONGEST_S) * chance.random())
        return done

    def mend(self) -> None:
        """All links pass everything again."""
        self.device.mend()
        self.server.mend()

    @staticmethod
    def _ways(proxy: Proxy, chance: random.Random, *, is_device: bool) -> list[tuple[str, Callable[[], None]]]:
        slow = Manner(portion_bytes=chance.randint(1, 2000), delay_s=chance.uniform(0.001, 0.02))
        ways: list[tuple[str, Callable[[], None]]] = [
            ("cut", proxy.cut),
            ("bitten through", proxy.bite),
            ("refused", proxy.refuse),
            ("stalled", lambda: proxy.behave(Manner(up_is_open=False, down_is_open=False))),
            ("stalled upwards", lambda: proxy.behave(Manner(up_is_open=False))),
            ("stalled downwards", lambda: proxy.behave(Manner(down_is_open=False))),
            ("slowed", lambda: proxy.behave(slow)),
            ("forgotten by the broker's end", lambda: proxy.forget(client_notices=True)),
        ]
        if is_device:  # the server asks for a sign of life once a minute, which is too long for a round
            ways.append(("forgotten by the client's end", lambda: proxy.forget(client_notices=False)))
        return ways
