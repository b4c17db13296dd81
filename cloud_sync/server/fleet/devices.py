"""The devices of a server: when each was heard of, how it says it fares, and what is wrong with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import ValidationError
from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from cloud_sync import clock
from cloud_sync.errors import IdentityError
from cloud_sync.messages import HealthBody, ModelStateBody
from cloud_sync.server.database import DeadLetter, Device, Record
from cloud_sync.topics import check_device_name
from cloud_sync.troubles import Level, Trouble, age_words, find_troubles, refused_release, worst_first

Status = Literal["online", "silent", "offline"]
SORTS = ("trouble", "name", "seen", "waiting", "disk", "temperature", "clock", "version")
SHOWS = ("all", "trouble", "bad", "online", "offline")

# A device that is connected speaks with each health message; two that are missing and the time they travel.
_SILENT_AFTER = 2.0
_MARGIN_S = 120.0
# Further off than this its times mislead people; a day off, they sort records into other visits.
_CLOCK_OFF_S, _CLOCK_WRONG_S = 60.0, 86_400.0
_MISSED_AFTER = timedelta(days=3)


@dataclass(frozen=True)
class DeviceView:
    """A device as people see it.

    Attributes:
        name: its name.
        status: ``online``; ``silent`` when the broker believes that it is connected and nothing has come for long;
            ``offline``.
        last_seen: when something came from it.
        store: id of its database.
        health: how it last said it fares.
        health_at: when that came.
        model_state: which model it says counts on it; None where it does not say.
        clock_error_s: by how much its clock was ahead of the server's when it connected last.
        dead_letters: messages of it that were refused.
        troubles: what is wrong, the worst first.
    """

    name: str
    status: Status
    last_seen: datetime
    store: str | None
    health: HealthBody | None
    health_at: datetime | None
    model_state: ModelStateBody | None
    clock_error_s: float | None
    dead_letters: int
    troubles: tuple[Trouble, ...]

    @property
    def level(self) -> Level | None:
        """How soon somebody is needed; None when nothing is wrong."""
        return self.troubles[0].level if self.troubles else None

    @property
    def version(self) -> str:
        """Version of Pomona on it, empty when it does not say."""
        return self.health.versions.get("pomona", "") if self.health else ""


def list_devices(session: Session) -> list[DeviceView]:
    """All devices, by name.

    Args:
        session: a view of the database.
    """
    letters, states = _dead_letters(session), _model_states(session)
    now = clock.now()
    rows = session.scalars(select(Device).order_by(Device.name))
    return [_view(row, letters.get(row.name, 0), states.get(row.name), now) for row in rows]


def get_device(session: Session, name: str) -> DeviceView | None:
    """One device, None where none of this name was ever heard of."""
    try:
        row = session.get(Device, check_device_name(name))
    except IdentityError:  # what no device can be called, some databases cannot be asked for
        return None
    if row is None:
        return None
    letters = session.scalars(select(func.count()).select_from(DeadLetter).where(DeadLetter.device == name)).one()
    return _view(row, letters, _model_states(session, name).get(name), clock.now())


def choose(devices: Iterable[DeviceView], show: str = "all", search: str = "") -> list[DeviceView]:
    """Those devices that are asked for.

    Args:
        devices: all of them.
        show: one of :data:`SHOWS`.
        search: words that all occur in the name, a version or a trouble.
    """
    words = search.lower().split()
    return [device for device in devices if _is_shown(device, show) and all(word in _text(device) for word in words)]


def arrange(devices: Iterable[DeviceView], sort: str = "trouble") -> list[DeviceView]:
    """Devices in the order of one of :data:`SORTS`; what somebody should look at comes first, what is unknown last."""
    by_name = sorted(devices, key=lambda device: device.name)
    return sorted(by_name, key=lambda device: _place(device, sort))


def _place(device: DeviceView, sort: str) -> tuple[bool, float | str]:
    health = device.health
    known: dict[str, float | str | None] = {
        "trouble": {"bad": 0.0, "note": 1.0, None: 2.0}[device.level],
        "seen": -device.last_seen.timestamp(),
        "waiting": -float(health.waiting) if health else None,
        "disk": health.disk_free_bytes if health else None,
        "temperature": -health.temperature_c if health and health.temperature_c is not None else None,
        "clock": -abs(device.clock_error_s) if device.clock_error_s is not None else None,
        "version": device.version or None,
    }
    value = known.get(sort, device.name)
    return value is None, 0.0 if value is None else value


def _is_shown(device: DeviceView, show: str) -> bool:
    shown = {
        "trouble": bool(device.troubles),
        "bad": device.level == "bad",
        "online": device.status == "online",
        "offline": device.status != "online",
    }
    return shown.get(show, True)


def _text(device: DeviceView) -> str:
    versions = list(device.health.versions.values() if device.health else ())
    if device.model_state is not None:
        versions += [device.model_state.model, device.model_state.engine]
    troubles = (f"{trouble.about} {trouble.text}" for trouble in device.troubles)
    return " ".join([device.name, device.status, *versions, *troubles]).lower()


def _dead_letters(session: Session) -> dict[str, int]:
    numbers = select(DeadLetter.device, func.count()).where(DeadLetter.device.is_not(None)).group_by(DeadLetter.device)
    return {str(device): number for device, number in session.execute(numbers)}


def _model_states(session: Session, name: str | None = None) -> dict[str, ModelStateBody]:
    """What devices said last of the model that counts on them, by their names."""
    own = (Record.device == Device.name) & (Record.natural_key == literal(f"{ModelStateBody.TYPE}/") + Device.name)
    told = select(Record).join(Device, own).where(Record.type == ModelStateBody.TYPE).order_by(Record.received_at)
    states = {}
    for record in session.scalars(told if name is None else told.where(Device.name == name)):
        with contextlib.suppress(ValidationError):  # of a server that was newer than this one
            states[record.device] = ModelStateBody.model_validate(record.body)
    return states


def _view(row: Device, dead_letters: int, state: ModelStateBody | None, now: datetime) -> DeviceView:
    health = _health(row)
    status = _status(row, health, now)
    return DeviceView(
        name=row.name,
        status=status,
        last_seen=row.last_seen,
        store=row.store,
        health=health,
        health_at=row.health_at,
        model_state=state,
        clock_error_s=row.clock_error_s,
        dead_letters=dead_letters,
        troubles=tuple(worst_first([*_troubles(row, health, status, dead_letters, now), *_of_model(state)])),
    )


def _health(row: Device) -> HealthBody | None:
    try:
        return None if row.health is None else HealthBody.model_validate(row.health)
    except ValidationError:  # of a server that was newer than this one
        return None


def _status(row: Device, health: HealthBody | None, now: datetime) -> Status:
    if not row.online:
        return "offline"
    due_s = health.next_s if health else None
    if due_s is None:
        return "online"
    quiet_s = (now - row.last_seen).total_seconds()
    return "silent" if quiet_s > _SILENT_AFTER * due_s + _MARGIN_S else "online"


def _troubles(
    row: Device, health: HealthBody | None, status: Status, dead_letters: int, now: datetime
) -> list[Trouble]:
    """Its own account, with what the server knows better: refused messages and the clock."""
    knows_clock = row.clock_error_s is not None
    own = find_troubles(health, clock_synchronised=knows_clock or row.clock_synchronised is not False) if health else []
    if dead_letters:
        own = [trouble for trouble in own if trouble.about != "refused"]
    found = [_refused(dead_letters), _clock(row.clock_error_s), _absence(row, status, now)]
    return worst_first([*own, *(trouble for trouble in found if trouble is not None)])


def _of_model(state: ModelStateBody | None) -> list[Trouble]:
    return [] if state is None or state.refused is None else [refused_release(state.candidate, state.refused)]


def _refused(dead_letters: int) -> Trouble | None:
    if not dead_letters:
        return None
    messages = "1 message was" if dead_letters == 1 else f"{dead_letters:,} messages were"
    remedy = "see the reason of each below, and what to do; the device keeps what it sent"
    return Trouble("bad", "refused", f"{messages} refused", remedy)


def _clock(error_s: float | None) -> Trouble | None:
    if error_s is None or abs(error_s) < _CLOCK_OFF_S:
        return None
    where = "ahead" if error_s > 0 else "behind"
    return Trouble(
        "bad" if abs(error_s) >= _CLOCK_WRONG_S else "note",
        "clock",
        f"the clock is {age_words(abs(error_s))} {where}",
        "let the device reach a time server (timedatectl shows which), or give it a clock module with a battery; "
        "records keep their order, and times of photos come from the camera",
    )


def _absence(row: Device, status: Status, now: datetime) -> Trouble | None:
    quiet = now - row.last_seen
    if status == "silent":
        return Trouble(
            "bad",
            "silent",
            f"seems connected, and nothing has come for {age_words(quiet.total_seconds())}",
            "see that `pomona server run` runs; then look at the device: journalctl -u pomona-sync",
        )
    if status == "offline" and quiet >= _MISSED_AFTER:
        return Trouble(
            "note",
            "absent",
            f"not heard of for {age_words(quiet.total_seconds())}",
            f"take it to a network and leave it on; if it is lost or stolen: pomona server revoke {row.name}",
        )
    return None
