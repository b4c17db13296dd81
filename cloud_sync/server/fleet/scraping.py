"""``/metrics``: the server's figures for Prometheus, of all its processes and of each device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from cloud_sync.server.database import DeadLetter, Record
from cloud_sync.server.fleet.context import Context, OpenedSession
from cloud_sync.server.fleet.devices import DeviceView, list_devices
from cloud_sync.server.ingest_metrics import read_processes

_log = logging.getLogger(__name__)
router = APIRouter()

# name of the metric, field of the health message, what it is multiplied with, help
_OF_DEVICES = (
    ("pomona_fleet_waiting", "waiting", 1, "Messages that wait on a device."),
    ("pomona_fleet_rejected", "rejected", 1, "Messages the server refused, kept on a device."),
    ("pomona_fleet_oldest_waiting_seconds", "oldest_waiting_s", 1, "Age of the oldest message that waits."),
    ("pomona_fleet_photos_waiting", "photos_waiting", 1, "Photos on a device that are not counted yet."),
    ("pomona_fleet_disk_free_bytes", "disk_free_bytes", 1, "Free space where a device's records lie."),
    ("pomona_fleet_memory_free_bytes", "memory_free_bytes", 1, "Memory that programs can still have."),
    ("pomona_fleet_temperature_celsius", "temperature_c", 1, "Temperature of the hottest sensor."),
    ("pomona_fleet_battery_ratio", "battery_percent", 0.01, "Charge of the battery, 0 to 1."),
    ("pomona_fleet_undervoltage", "undervoltage", 1, "1 while the supply voltage is too low."),
)


@router.get("/metrics", include_in_schema=False)
def metrics(session: OpenedSession, context: Context) -> Response:
    """What ingest processes count, what the database holds, and how each device last said it fares."""
    registry = CollectorRegistry(auto_describe=False)
    families = [*_of_processes(context), *_of_database(session, context), *_of_devices(session)]
    registry.register(_Families(families))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Families(Collector):
    """Metrics that were made already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Prometheus' client asks for them."""
        yield from self._families


def _of_processes(context: Context) -> list[Metric]:
    """What each ingest process counts of itself, told apart by its number."""
    merged: dict[str, Metric] = {}
    for number, told in read_processes(context.processes):
        try:
            families = list(text_string_to_metric_families(told))
        except ValueError:
            _log.warning("the metrics of ingest process %s cannot be read", number)
            continue
        for family in families:
            if family.name.endswith("_created"):  # when counting began, which Prometheus finds out by itself
                continue
            own = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                own.add_sample(sample.name, {**sample.labels, "process": number}, sample.value)
    return list(merged.values())


def _of_database(session: Session, context: Context) -> Iterator[Metric]:
    records = GaugeMetricFamily("pomona_server_records", "Records that are held, by type.", labels=["type"])
    for kind, number in context.records.get(lambda: _records(session)).items():
        records.add_metric([kind], number)
    yield records
    dead = session.scalars(select(func.count()).select_from(DeadLetter)).one()
    yield GaugeMetricFamily("pomona_server_dead_letters", "Messages that were refused and are kept.", value=dead)
    size = _database_bytes(session)
    if size is not None:
        yield GaugeMetricFamily("pomona_server_database_bytes", "Size of the database.", value=size)


def _records(session: Session) -> dict[str, int]:
    numbers = session.execute(select(Record.type, func.count()).group_by(Record.type))
    return {kind: number for kind, number in numbers}  # noqa: C416  (a row is not a plain tuple)


def _database_bytes(session: Session) -> int | None:
    """Size of the database; None where this kind of database is not known."""
    backend = session.get_bind().dialect.name
    if backend == "sqlite":
        pages, size = (session.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("page_count", "page_size"))
        return int(pages) * int(size)
    if backend == "postgresql":
        return int(session.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    return None


def _of_devices(session: Session) -> Iterator[Metric]:
    devices = list_devices(session)
    by_status = GaugeMetricFamily("pomona_fleet_devices", "Devices, by whether they are connected.", labels=["status"])
    for status in ("online", "silent", "offline"):
        by_status.add_metric([status], sum(device.status == status for device in devices))
    yield by_status
    troubled = GaugeMetricFamily("pomona_fleet_troubled_devices", "Devices with a trouble.", labels=["level"])
    for level in ("bad", "note"):
        troubled.add_metric([level], sum(device.level == level for device in devices))
    yield troubled
    yield _each("pomona_fleet_online", "1 while a device is connected.", devices, lambda it: it.status == "online")
    seen = "Moment when something last came from a device."
    yield _each("pomona_fleet_last_seen_timestamp_seconds", seen, devices, lambda it: it.last_seen.timestamp())
    ahead = "By how much a device's clock was ahead when it connected last."
    yield _each("pomona_fleet_clock_error_seconds", ahead, devices, lambda it: it.clock_error_s)
    for name, field, factor, told in _OF_DEVICES:
        yield _each(name, told, devices, partial(_figure, field=field, factor=factor))


def _each(name: str, told: str, devices: list[DeviceView], value: Callable[[DeviceView], float | None]) -> Metric:
    """A figure of each device that has it."""
    family = GaugeMetricFamily(name, told, labels=["device"])
    for device in devices:
        if (figure := value(device)) is not None:
            family.add_metric([device.name], figure)
    return family


def _figure(device: DeviceView, field: str, factor: float) -> float | None:
    figure = getattr(device.health, field) if device.health else None
    return None if figure is None else factor * figure
