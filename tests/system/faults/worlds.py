"""A world for each kind of fault, with what is done to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.postgresql import PostgreSQL
from tests.system.faults.campaign import Fault
from tests.system.faults.disks import FullDisks, SmallDisk, may_end_for_want_of_space
from tests.system.faults.kills import EVERYTHING, WITH_POSTGRESQL, Kills, may_end_without_database
from tests.system.faults.packets import ADDRESSES, BadLinks, Network
from tests.system.faults.partitions import Partitions
from tests.system.faults.proxy import Proxy
from tests.system.faults.restores import Restores
from tests.system.faults.world import BROKER, Places, World

_STORE_MB, _PHOTOS_MB, _SERVER_MB = 128, 512, 128


@contextlib.contextmanager
def kills(folder: Path, records: int) -> Iterator[tuple[World, Fault]]:
    """Everything is killed."""
    with contextlib.closing(World(Places.below(folder), records)) as world:
        yield world, Kills(EVERYTHING)


@contextlib.contextmanager
def postgresql(folder: Path, records: int) -> Iterator[tuple[World, Fault]]:
    """Everything is killed, of a server with two processes over PostgreSQL, which is killed too."""
    made = PostgreSQL()
    with contextlib.ExitStack() as stack:
        stack.callback(made.remove)
        places = replace(Places.below(folder), database=made.make_database(), options=("--ingest", "2"))
        world = World(places, records, may_end_without_database, postgresql=made)
        yield stack.enter_context(contextlib.closing(world)), Kills(WITH_POSTGRESQL, within_s=1.5)


@contextlib.contextmanager
def brokers(folder: Path, records: int) -> Iterator[tuple[World, Fault]]:
    """Only the broker is killed, which keeps nothing."""
    with contextlib.closing(World(Places.below(folder), records)) as world:
        yield world, Kills((BROKER,))


@contextlib.contextmanager
def partitions(folder: Path, records: int) -> Iterator[tuple[World, Fault]]:
    """The links to the broker are cut."""
    places = Places.below(folder)
    with (
        contextlib.closing(Proxy(places.broker_port)) as device,
        contextlib.closing(Proxy(places.broker_port)) as server,
        contextlib.closing(World(replace(places, device_port=device.port, server_port=server.port), records)) as world,
    ):
        yield world, Partitions(device, server)


@contextlib.contextmanager
def disks(folder: Path, records: int) -> Iterator[tuple[World, Fault]]:
    """Store, photos and server have small disks of their own, which are filled; to be run :func:`apart`."""
    places = Places.below(folder)
    data = folder / "data"
    with contextlib.ExitStack() as stack:
        small = {
            name: stack.enter_context(contextlib.closing(SmallDisk(where, megabytes)))
            for name, where, megabytes in (
                ("store", places.home, _STORE_MB),
                ("photos", places.home / "photos", _PHOTOS_MB),
                ("server", data, _SERVER_MB),
            )
        }
        places = replace(places, database=f"sqlite:///{data / 'pomona.sqlite'}")
        world = stack.enter_context(contextlib.closing(World(places, records, may_end_for_want_of_space)))
        yield world, FullDisks(small)


@contextlib.contextmanager
def packets(folder: Path, records: int) -> Iterator[tuple[World, Fault]]:
    """Device, broker and server are hosts of a network that loses packets; to be run :func:`apart`."""
    with contextlib.closing(Network()) as network:
        places = replace(Places.below(folder), host=ADDRESSES["broker"], enter=network.enter)
        with contextlib.closing(World(places, records)) as world:
            yield world, BadLinks(network)


@contextlib.contextmanager
def restores(folder: Path, records: int) -> Iterator[tuple[World, Fault]]:
    """The server is put back to backups."""
    places = Places.below(folder)
    backups = folder / "backups"
    backups.mkdir(parents=True)
    with contextlib.closing(World(places, records, is_restored=True)) as world:
        yield world, Restores(Path(places.database.removeprefix("sqlite:///")), backups)


WORLDS = {
    "kills": kills,
    "postgresql": postgresql,
    "brokers": brokers,
    "partitions": partitions,
    "packets": packets,
    "disks": disks,
    "restores": restores,
}
# those that mount file systems or make networks
NEED_RIGHTS = frozenset({"disks", "packets"})
