"""What ``pomona doctor`` looks at: everything a device needs to count and to send, each with what is wrong with it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cloud_sync import clock, keys
from cloud_sync.errors import IdentityError
from cloud_sync.files import identity_folder
from cloud_sync.identity import read_identity
from cloud_sync.messages import HealthBody
from cloud_sync.timekeeping import Reading, Timekeeper
from cloud_sync.troubles import Trouble, age_words, find_troubles, refused_release
from device.errors import StoreError
from device.health import gather_health, machine_health
from device.machine import Machine
from device.model_state import ModelState, read_model_state
from device.releases.active import DETECTION, folder_of, read_active
from device.store import FILE_NAME, Store
from device.uplink_status import UplinkStatus, read_uplink_status
from export.runtime.bundle import open_bundle
from export.runtime.errors import BundleError

# renewal begins a year before the end, so one that is left undone so long does not come by itself
_ENDS_SOON = timedelta(days=90)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        told: how it is.
        troubles: what is wrong with it.
    """

    name: str
    told: str
    troubles: tuple[Trouble, ...] = ()


_Known = tuple[HealthBody, Finding, ModelState]
"""How the device fares, what there is of records, and what counts."""


def examine(home: Path, inbox: Path | None, machine: Machine | None = None) -> tuple[HealthBody, list[Finding]]:
    """Look at a device.

    Args:
        home: folder with its records; nothing is made there.
        inbox: folder in which photos arrive to be counted.
        machine: the machine, None for this one.

    Returns:
        What would be sent to the server, and the findings.
    """
    name, server = _server(home)
    health, records, state = _records(home, name, inbox, machine)
    time = Timekeeper(identity_folder(home)).read()
    found = find_troubles(health, clock_synchronised=time.is_known)

    def finding(what: str, told: str | None, *about: str) -> Finding:
        own = tuple(trouble for trouble in found if trouble.about in about)
        return Finding(what, told or "not told by this machine", own)

    free = health.memory_free_bytes
    return health, [
        records,
        finding("waiting to be sent", _waiting(health), "backlog", "refused"),
        finding("waiting to be counted", _number(health.photos_waiting, "photo")),
        server,
        _uplink(home, read_uplink_status(home), is_enrolled=not server.troubles),
        _bundle(home),
        _counting(state),
        finding("disk", _free(health.disk_free_bytes, health.disk_total_bytes), "disk"),
        finding("memory", None if free is None else f"{free / 1e6:,.0f} MB free", "memory"),
        finding("temperature", None if health.temperature_c is None else f"{health.temperature_c:.0f} °C", "heat"),
        finding("power", _power(health), "power", "battery"),
        finding("clock", _clock(health, time), "clock"),
        Finding("running", f"for {age_words(health.uptime_s)}"),
        Finding("versions", ", ".join(f"{name} {version}" for name, version in health.versions.items())),
    ]


def _server(home: Path) -> tuple[str, Finding]:
    try:
        identity = read_identity(home)
    except IdentityError as error:
        text, _, remedy = str(error).partition("; ")
        return "this-device", Finding("server", "none", (Trouble("note", "server", text, remedy),))
    ends = keys.read_certificate(identity.certificate).not_valid_after_utc
    told = f"{identity.broker_host}:{identity.broker_port}, as {identity.name}, until {ends:%Y-%m-%d}"
    now = Timekeeper(identity_folder(home)).read().at
    return identity.name, Finding("server", told, _certificate_trouble(ends, now))


def _certificate_trouble(ends: datetime, now: datetime) -> tuple[Trouble, ...]:
    if ends < now:
        text = f"the certificate of this device ended on {ends:%Y-%m-%d}"
        return (Trouble("bad", "server", text, "invite it anew on the server, then run: pomona sync enroll"),)
    if ends - now < _ENDS_SOON:
        text = f"the certificate of this device ends on {ends:%Y-%m-%d}"
        return (Trouble("note", "server", text, "take it to a network and run: pomona sync renew"),)
    return ()


def _records(home: Path, name: str, inbox: Path | None, machine: Machine | None) -> _Known:
    alone = machine_health(home if home.exists() else home.parent, name, machine)
    if not (home / FILE_NAME).exists():
        begin = Trouble("note", "records", f"{home} holds none yet", "check --home, or begin: pomona block add")
        return alone, Finding("records", "none", (begin,)), ModelState()
    try:
        store = Store(home)
        try:
            with store.explained():
                health, state = gather_health(store, name, inbox=inbox, machine=machine), read_model_state(store)
        finally:
            store.close()
    except StoreError as error:
        text, _, remedy = str(error).rpartition("; ")
        return alone, Finding("records", "cannot be read", (Trouble("bad", "records", text, remedy),)), ModelState()
    told = f"{_number(health.photos, 'photo')}, {_number(health.tree_counts, 'count')} of trees"
    return health, Finding("records", told), state


def _counting(state: ModelState) -> Finding:
    began = "" if state.began is None else f", since {state.began:%Y-%m-%d}"
    told = "nothing was counted yet" if state.model is None else f"{state.model} on {state.engine}{began}"
    if state.refused is None:
        return Finding("counted with", told)
    return Finding("counted with", told, (refused_release(state.candidate, state.refused),))


def _uplink(home: Path, status: UplinkStatus | None, *, is_enrolled: bool) -> Finding:
    if status is None:
        start = Trouble("note", "uplink", "nothing is being sent", "systemctl start pomona-sync, or run: pomona sync")
        return Finding("uplink", "does not run", (start,) if is_enrolled else ())
    since = age_words(status.since_s)
    if status.connected:
        return Finding("uplink", f"connected for {since}; {status.stored:,} sent, {status.rejected:,} refused")
    text, _, remedy = status.condition.rpartition("; ")
    cause = Trouble(
        "note", "uplink", text or status.condition, remedy if text else f"see the log; records are in {home}"
    )
    return Finding("uplink", f"not connected for {since}", (cause,))


def _bundle(home: Path) -> Finding:
    try:
        return Finding("model bundle", open_bundle(_active(home)).identity)
    except BundleError as error:
        text, _, remedy = str(error).rpartition("; ")
        return Finding("model bundle", "cannot be used", (Trouble("bad", "bundle", text, remedy),))


def _active(home: Path) -> Path | None:
    """Folder of the installed bundle that counts; None for the one that comes with Pomona."""
    if not (home / FILE_NAME).exists():
        return None
    with contextlib.suppress(StoreError), contextlib.closing(Store(home)) as store, store.explained():
        return folder_of(store, read_active(store, DETECTION).bundle)
    return None  # what is wrong with the records is told of them


def _waiting(health: HealthBody) -> str:
    if not health.waiting:
        return "nothing"
    oldest = f", the oldest for {age_words(health.oldest_waiting_s)}" if health.oldest_waiting_s is not None else ""
    return _number(health.waiting, "record") + oldest


def _number(number: int | None, what: str) -> str:
    return f"{number or 0:,} {what}{'s' if number != 1 else ''}"


def _free(free: int | None, total: int | None) -> str | None:
    return None if free is None or total is None else f"{free / 1e9:.1f} of {total / 1e9:.0f} GB free"


def _power(health: HealthBody) -> str | None:
    told = []
    if health.battery_percent is not None:
        told.append(f"battery at {health.battery_percent:.0f} %")
    if health.on_battery is not None:
        told.append("drawn on" if health.on_battery else "not drawn on")
    if health.undervoltage is not None:
        told.append("voltage too low" if health.undervoltage else "voltage as it should be")
    return ", ".join(told) or None


def _clock(health: HealthBody, time: Reading) -> str:
    own = f"{clock.now():%Y-%m-%d %H:%M:%S} UTC"
    if time.is_known and time.device_clock is not None:
        return f"{time.at:%Y-%m-%d %H:%M:%S} UTC, as the server said; its own clock says {own}"
    if health.clock_error_s is None or not time.is_known:
        return f"{own}, not synchronised"
    return f"{own}, synchronised to {max(health.clock_error_s, 0.001):.3f} s"
