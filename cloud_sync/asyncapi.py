"""The AsyncAPI document of the wire, made from the models that check it: ``python -m cloud_sync.asyncapi``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from cloud_sync import batch, topics
from cloud_sync.json_schemas import OTHERS, record_schema, summary
from cloud_sync.messages import BODIES, MOST_BYTES, Body, Envelope

FILE = Path(__file__).with_name("asyncapi.yaml")
_HEADER = "# Made by `python -m cloud_sync.asyncapi` from the models; edit those, not this file.\n"
_MQTT = "0.2.0"  # version of AsyncAPI's MQTT binding
# what the device does with each message that carries no records, and where
_OTHERS: dict[str, tuple[str, Callable[[str], str]]] = {
    "answers": ("receive", topics.acknowledgements),
    "state": ("send", topics.state),
    "question": ("send", topics.question),
    "digest": ("receive", topics.digest),
    "missing": ("receive", topics.missing),
    "greeting": ("receive", topics.greeting),
    "documents": ("receive", topics.documents),
}


class MissingYamlError(RuntimeError):
    """PyYAML, which only development needs, is not installed."""

    exit_code = 1


def document() -> dict[str, Any]:
    """The document as nested values."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Pomona sync",
            "version": topics.ROOT.rsplit("/", 1)[-1].removeprefix("v") + ".0.0",
            "description": "What a device says and hears, seen from the device. docs/reference/sync.md has the rules.",
            "license": {"name": "AGPL-3.0-or-later", "url": "https://www.gnu.org/licenses/agpl-3.0.html"},
        },
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": {
            "sendRecord": _operation("send", "record", retain=False),
            "sendBatch": _operation("send", "batch", retain=False),
            **{
                f"{action}{name.capitalize()}": _operation(action, name, retain=name == "state")
                for name, (action, _) in _OTHERS.items()
            },
        },
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def as_yaml() -> str:
    """The text of :data:`FILE`.

    Raises:
        MissingYamlError: PyYAML is not installed.
    """
    try:
        import yaml  # noqa: PLC0415  (a device runs without it)
    except ModuleNotFoundError as error:
        raise MissingYamlError(
            "writing the AsyncAPI document needs PyYAML: pip install '.[dev]' in Pomona's folder"
        ) from error
    separate = json.loads(json.dumps(document()))  # what occurs twice is written twice, not as an alias
    text: str = yaml.safe_dump(separate, sort_keys=False, allow_unicode=True, width=120)
    return _HEADER + text


def _channels() -> dict[str, Any]:
    device = {"device": {"description": "name of the device: common name, MQTT user name and client id"}}
    kind = {"type": {"description": "type of the record", "enum": list(BODIES)}}
    return {
        "record": {
            "address": topics.up("{device}", "{type}"),
            "parameters": {**device, **kind},
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in BODIES},
        },
        "batch": {
            "address": topics.batch("{device}"),
            "parameters": device,
            "messages": {"batch": {"$ref": "#/components/messages/batch"}},
        },
        **{
            name: {
                "address": topic("{device}"),
                "parameters": device,
                "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            }
            for name, (_, topic) in _OTHERS.items()
        },
        "stored": {
            "address": topics.stored("{device}", "{type}"),
            "description": "for readers, where the server was started with --feed",
            "parameters": {**device, **kind},
            "messages": {"stored": {"$ref": "#/components/messages/stored"}},
        },
    }


def _operation(action: str, channel: str, *, retain: bool) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "bindings": {"mqtt": {"qos": 1, "retain": retain, "bindingVersion": _MQTT}},
    }


def _messages() -> dict[str, Any]:
    correlation = {
        "type": "string",
        "pattern": "^[0-9a-f-]{36}:[0-9]{1,4}$",
        "description": "<id of message or batch>:<version>, so that one nobody can parse can still be answered",
    }
    records = {
        name: {
            "summary": summary(body),
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{_record_schema(body)}"},
            "bindings": {"mqtt": {"correlationData": correlation, "bindingVersion": _MQTT}},
        }
        for name, body in BODIES.items()
    }
    return {
        **records,
        "batch": {
            "summary": "Many records of one device: JSON lines, each an envelope, as one zlib stream.",
            "contentType": batch.CONTENT_TYPE,
            "payload": {
                "type": "string",
                "format": "binary",
                "contentMediaType": batch.CONTENT_TYPE,
                "maxLength": MOST_BYTES,
                "description": f"1 to {batch.MOST_MESSAGES} envelopes, {batch.MOST_UNFOLDED_BYTES} bytes at most",
            },
            "bindings": {"mqtt": {"correlationData": correlation, "bindingVersion": _MQTT}},
        },
        **{
            name: {"summary": summary(model), "payload": {"$ref": f"#/components/schemas/{model.__name__}"}}
            for name, model in OTHERS.items()
        },
        "stored": {
            "summary": "A stored record as plain JSON: envelope, natural_key, and the body with its boxes unpacked.",
            "contentType": "application/json",
            "payload": {"type": "object", "required": ["device", "record", "type", "natural_key", "body"]},
        },
    }


def _schemas() -> dict[str, Any]:
    models: list[type[BaseModel]] = [Envelope, *BODIES.values(), *OTHERS.values()]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    records = {_record_schema(body): record_schema(body, "#/components/schemas") for body in BODIES.values()}
    return {**definitions["$defs"], **records}


def _record_schema(body: type[Body]) -> str:
    return body.__name__.removesuffix("Body") + "Record"


def main() -> None:
    """Write the document."""
    FILE.write_text(as_yaml(), encoding="utf-8")


if __name__ == "__main__":
    main()
