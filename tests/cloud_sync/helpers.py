"""Examples and shortcuts for the tests of both ends of the wire."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cloud_sync import clock
from cloud_sync.identity import Identity, create_request, install_enrolment
from cloud_sync.messages import BODIES, Body, TreeBody, pack_series
from cloud_sync.outbox import Outbox, new_id
from cloud_sync.server.broker import initialise
from cloud_sync.server.enrolling import enroll_by_file
from cloud_sync.server.folder import ServerFolder, ServerSettings
from cloud_sync.server.screening import Received
from device.store.database import Store

VISIT: dict[str, Any] = {"orchard": "Dongshan", "block": "A", "day": "2024-09-01", "stage": "ripening"}
PHOTO_HASH = "ab" * 32

# one valid body of each type, every field of it filled
EXAMPLES: dict[str, dict[str, Any]] = {
    "orchard": {
        "orchard": "Dongshan",
        "crop": "apple",
        "area_m2": 66_700.0,
        "region": "Gansu",
        "county": "Jingning",
        "county_area_ha": 66_000.0,
    },
    "block": {
        "orchard": "Dongshan",
        "block": "A",
        "area_m2": 6670.0,
        "trees": 550,
        "trees_per_ha": 825.0,
        "variety": "Fuji",
        "training_system": "spindle",
        "fruit_weight_g": 230.0,
    },
    "tree": {
        "orchard": "Dongshan",
        "block": "A",
        "tree": "A-01",
        "provisional": True,
        "latitude": 35.1,
        "longitude": 109.7,
    },
    "visit": {**VISIT, "area_m2": 320.0},
    "photo": {
        **VISIT,
        "tree": "A-01",
        "side": "east",
        "sha256": PHOTO_HASH,
        "file_name": "IMG_0001.JPG",
        "size_bytes": 4_000_000,
        "width_px": 4000,
        "height_px": 6000,
        "taken_at": "2024-09-01T10:11:12",
        "latitude": 35.1,
        "longitude": 109.7,
    },
    "detections": {
        "photo": PHOTO_HASH,
        "model": "yolo-a 1.0 0123abcd",
        "engine": "onnxruntime",
        "labels": ["apple", "apple_flower"],
        "counts": {"apple": 1, "apple_flower": 0},
        "boxes": "AAEAFAAU5gAC//+Y",
    },
    "count": {
        **VISIT,
        "tree": "A-01",
        "label": "apple",
        "machine": 120,
        "reviewed": 131,
        "by_hand": 170,
        "own": 110,
        "both": 14,
        "model": "yolo-a 1.0 0123abcd",
        "sides_rule": "sum of two sides",
        "attribution": "none",
        "photos": [PHOTO_HASH],
    },
    "estimate": {
        **VISIT,
        "label": "apple",
        "trees": 30,
        "fruit": 3900,
        "fruit_weight_g": 230.0,
        "area_m2": 320.0,
        "observed_kg_per_ha": 28_031.2,
        "predicted_area_kg_per_ha": 30_000.0,
        "predicted_orchard_kg_per_ha": 31_000.0,
        "correction_factor": 0.93,
        "corrected_kg_per_ha": 28_830.0,
        "corrected_low_kg_per_ha": 26_000.0,
        "corrected_high_kg_per_ha": 31_500.0,
        "correction_factor_low": 0.84,
        "correction_factor_high": 1.02,
        "block_kg_per_ha": 28_000.0,
        "block_low_kg_per_ha": 25_500.0,
        "block_high_kg_per_ha": 30_800.0,
        "siting": "block",
        "sides": "sum",
        "trees_reviewed": 4,
        "components": [
            {
                "name": "fruit weight",
                "relative_sd": 0.1,
                "degrees_of_freedom": 29.0,
                "choice": "230 g, 30 fruit weighed",
            },
            {"name": "detector", "relative_sd": 0.09, "degrees_of_freedom": 4.0, "choice": "count bias +2 %"},
        ],
        "warnings": ["few trees"],
        "prediction_source": "constant",
        "prediction": {
            "bundle": "gansu-apples-1.0.0+0123456789ab",
            "year": 2025,
            "months": [4, 5],
            "features": ["NDVI", "Tair_f_tavg"],
            "series": pack_series([[0.5, 285.0], [0.6, 290.5]]),
            "acquisitions": ["2025-04-06", "2025-05-24"],
            "county": "Jingning",
            "area_ha": 12_000.0,
            "season_sha256": "5e" * 32,
            "half_width_kg_per_ha": 3_000.0,
            "distance": 1.25,
            "outside": False,
        },
    },
    "harvest": {
        "orchard": "Dongshan",
        "block": "A",
        "day": "2024-09-20",
        "weight_kg": 18_400.0,
        "trees": 550,
        "fruit_weight_g": 226.0,
    },
    "health": {
        "device": "jetson-1",
        "versions": {"pomona": "0.1.0", "python": "3.11.2", "system": "Debian GNU/Linux 12 (bookworm)"},
        "uptime_s": 7300,
        "next_s": 900,
        "waiting": 12,
        "rejected": 0,
        "oldest_waiting_s": 60,
        "photos_waiting": 3,
        "photos": 118,
        "tree_counts": 59,
        "clock_error_s": 0.02,
        "disk_free_bytes": 21_000_000_000,
        "disk_total_bytes": 32_000_000_000,
        "memory_free_bytes": 3_000_000_000,
        "memory_total_bytes": 8_000_000_000,
        "load": 0.4,
        "temperature_c": 52.5,
        "battery_percent": 80.0,
        "on_battery": False,
        "undervoltage": False,
        "undervoltage_since_boot": False,
        "throttled": False,
    },
    "review": {
        **VISIT,
        "tree": "A-01",
        "label": "apple",
        "model": "yolo-a 1.0 0123abcd",
        "reviewer": "Li",
        "reviewed_at": "2024-09-01T12:00:00+08:00",
        "count": None,
        "photo": PHOTO_HASH,
        "labels": ["apple", "apple_flower"],
        "removed": "AAEAFAAU5gAC//+Y",
        "added": "",
        "taken_back": False,
    },
    "thumbnail": {"photo": PHOTO_HASH, "jpeg": "/9j/2Q=="},
    "model_state": {
        "device": "jetson-1",
        "model": "yolo-a 1.0 0123abcd",
        "engine": "onnxruntime",
        "since": "2024-08-01T08:00:00+08:00",
        "candidate": "yolo-a 1.1 4567cdef",
        "refused": "counts differ on the self-test photos",
    },
}


def example(kind: str, **changes: Any) -> Body:
    return BODIES[kind].model_validate({**EXAMPLES[kind], **changes})


def tree(code: str) -> TreeBody:
    return TreeBody(orchard="Dongshan", block="A", tree=code, provisional=False)


def enqueue(store: Store, bodies: Iterable[Body]) -> None:
    """Queue bodies as records of their own, in one transaction."""
    with store.change():
        for body in bodies:
            store.outbox.enqueue(new_id(), 1, body)


def messages_of(outbox: Outbox) -> list[str]:
    return [waiting.message for waiting in outbox.waiting("any", 0, 10_000)]


def envelope(kind: str = "tree", device: str = "jetson-1", **changes: Any) -> dict[str, Any]:
    return {
        "message": new_id(),
        "device": device,
        "store": "0190a000-0000-7000-8000-000000000001",
        "sequence": 1,
        "record": new_id(),
        "revision": 1,
        "recorded_at": "2024-09-01T10:00:00+08:00",
        "clock_synchronised": True,
        "boot": clock.boot_id(),
        "type": kind,
        "version": BODIES[kind].VERSION if kind in BODIES else 1,
        "body": EXAMPLES.get(kind, {}),
        **changes,
    }


def received(fields: dict[str, Any] | bytes, *, topic: str | None = None, correlation: bytes | None = None) -> Received:
    """A message as the broker would deliver it; by default on the topic its envelope asks for."""
    payload = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    device, kind = (fields["device"], fields["type"]) if isinstance(fields, dict) else ("jetson-1", "tree")
    if isinstance(fields, dict) and correlation is None:
        correlation = f"{fields['message']}:{fields['version']}".encode()
    topic = f"pomona/v1/{device}/up/{kind}" if topic is None else topic
    return Received(topic, payload, correlation or b"", datetime.now(timezone.utc))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def make_server(folder: Path, port: int = 8883, https_port: int = 0) -> ServerFolder:
    home = ServerFolder(folder)
    initialise(home, ServerSettings(hosts=["localhost"], port=port, https_port=https_port, bind="127.0.0.1"))
    return home


def enrolment_file(server: ServerFolder, request: Path, out: Path, *, replace: bool = False) -> Path:
    enrolment = enroll_by_file(server, request.read_bytes(), request, replace=replace)
    out.write_text(enrolment.model_dump_json())
    return out


def enrol(server: ServerFolder, folder: Path, name: str, *, replace: bool = False) -> Identity:
    """The whole way of a device from no key to an identity."""
    request = create_request(folder, name)
    return install_enrolment(folder, enrolment_file(server, request, folder / "enrolment.json", replace=replace))
