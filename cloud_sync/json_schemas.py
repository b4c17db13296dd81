"""JSON Schemas of the messages, one file a type, made from the models: ``python -m cloud_sync.json_schemas``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from cloud_sync.device_state import DeviceState
from cloud_sync.digests import DigestAnswer, DigestQuestion, Missing
from cloud_sync.documents import Catalogue
from cloud_sync.greeting import Greeting
from cloud_sync.messages import BODIES, Answers, Body, Envelope

FOLDER = Path(__file__).with_name("schemas")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
OTHERS: dict[str, type[BaseModel]] = {
    "answers": Answers,
    "state": DeviceState,
    "question": DigestQuestion,
    "digest": DigestAnswer,
    "missing": Missing,
    "greeting": Greeting,
    "documents": Catalogue,
}


def summary(model: type[BaseModel]) -> str:
    """What a model is, in a line."""
    return (model.__doc__ or "").splitlines()[0]


def record_schema(body: type[Body], references: str) -> dict[str, Any]:
    """An envelope around one body.

    Args:
        body: the body.
        references: where the schemas of envelope and body lie, as ``#/$defs``.
    """
    return {
        "allOf": [
            {"$ref": f"{references}/{Envelope.__name__}"},
            {
                "properties": {
                    "type": {"const": body.TYPE},
                    "version": {"const": body.VERSION},
                    "body": {"$ref": f"{references}/{body.__name__}"},
                }
            },
        ]
    }


def schemas() -> dict[str, dict[str, Any]]:
    """The schemas by the names of their files, without suffix: the types of record and the others."""
    found = {
        name: {"title": name, "description": summary(body), **record_schema(body, "#/$defs"), **_parts(Envelope, body)}
        for name, body in BODIES.items()
    }
    for name, model in OTHERS.items():
        found[name] = {"title": name, "$ref": f"#/$defs/{model.__name__}", **_parts(model)}
    return {name: {"$schema": _DIALECT, **schema} for name, schema in found.items()}


def _parts(*models: type[BaseModel]) -> dict[str, Any]:
    _, parts = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    return {"$defs": parts["$defs"]}


def as_text(schema: dict[str, Any]) -> str:
    """A schema as its file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the files, and remove those of types that are gone."""
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.json"):
        file.unlink()
    for name, schema in schemas().items():
        (FOLDER / f"{name}.json").write_text(as_text(schema), encoding="utf-8")


if __name__ == "__main__":
    main()
