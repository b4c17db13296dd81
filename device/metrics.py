"""How the device fares, as Prometheus reads it: the figures of its health message and of its uplink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from cloud_sync.messages import HealthBody
from device.health import gather_health
from device.machine import Machine
from device.model_state import read_model_state
from device.store import Store
from device.uplink_status import UplinkStatus, read_uplink_status

# name of the metric, field of the health message, what it is multiplied with, help
_GAUGES = (
    ("pomona_outbox_waiting", "waiting", 1, "Records that wait to be sent to the server."),
    ("pomona_outbox_rejected", "rejected", 1, "Records that the server refused; they are kept."),
    ("pomona_outbox_oldest_waiting_seconds", "oldest_waiting_s", 1, "Age of the oldest record that waits."),
    ("pomona_photos_waiting", "photos_waiting", 1, "Photos on the device that are not counted yet."),
    ("pomona_photos", "photos", 1, "Photos that were counted and are kept."),
    ("pomona_tree_counts", "tree_counts", 1, "Counts of trees that were made."),
    ("pomona_uptime_seconds", "uptime_s", 1, "Time since the device was started."),
    ("pomona_clock_error_seconds", "clock_error_s", 1, "Largest error of the clock while it is synchronised."),
    ("pomona_disk_free_bytes", "disk_free_bytes", 1, "Free space where the records lie."),
    ("pomona_disk_total_bytes", "disk_total_bytes", 1, "Size of that file system."),
    ("pomona_memory_free_bytes", "memory_free_bytes", 1, "Memory that programs can still have."),
    ("pomona_memory_total_bytes", "memory_total_bytes", 1, "Memory in all."),
    ("pomona_load_per_core", "load", 1, "Programs that want to run for each processor core."),
    ("pomona_temperature_celsius", "temperature_c", 1, "Temperature of the hottest sensor."),
    ("pomona_battery_ratio", "battery_percent", 0.01, "Charge of the battery, 0 to 1."),
    ("pomona_on_battery", "on_battery", 1, "1 while the battery is drawn on."),
    ("pomona_undervoltage", "undervoltage", 1, "1 while the supply voltage is too low."),
    ("pomona_throttled", "throttled", 1, "1 while heat or voltage slow the processor down."),
)


def device_metrics(store: Store, inbox: Path | None = None, machine: Machine | None = None) -> bytes:
    """All metrics of a device in Prometheus' text format.

    Args:
        store: the device's records.
        inbox: folder in which photos arrive to be counted.
        machine: the machine, None for this one.

    Raises:
        sqlite3.Error: the store cannot be read; ``store.explained`` says why.
    """
    registry = CollectorRegistry(auto_describe=False)
    health = gather_health(store, "this-device", inbox=inbox, machine=machine)
    registry.register(_Figures(health, read_model_state(store).model, read_uplink_status(store.folder)))
    return generate_latest(registry)


class _Figures(Collector):
    """Figures that were read once."""

    def __init__(self, health: HealthBody, model: str | None, uplink: UplinkStatus | None) -> None:
        self._health = health
        self._versions = {**health.versions, **({} if model is None else {"model": model})}
        self._uplink = uplink

    def collect(self) -> Iterator[Metric]:
        """Prometheus' client asks for them."""
        yield InfoMetricFamily("pomona", "Versions of what runs here.", value=self._versions)
        for name, field, factor, text in _GAUGES:
            value = getattr(self._health, field)
            if value is not None:  # what this machine cannot tell is left out, which is not the same as 0
                yield GaugeMetricFamily(name, text, value=factor * value)
        synchronised = self._health.clock_error_s is not None
        yield GaugeMetricFamily("pomona_clock_synchronised", "1 while the clock is synchronised.", value=synchronised)
        yield from self._of_uplink()

    def _of_uplink(self) -> Iterator[Metric]:
        uplink = self._uplink
        connected = uplink is not None and uplink.connected
        yield GaugeMetricFamily("pomona_uplink_running", "1 while a process sends.", value=uplink is not None)
        yield GaugeMetricFamily("pomona_uplink_connected", "1 while the broker has accepted it.", value=connected)
        if uplink is not None:
            told = (
                ("pomona_uplink_stored", "Messages the server has stored since the uplink was started.", uplink.stored),
                ("pomona_uplink_rejected", "Messages that were refused since then.", uplink.rejected),
            )
            for name, text, number in told:
                yield CounterMetricFamily(name, text, value=number)
