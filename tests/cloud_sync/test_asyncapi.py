"""The AsyncAPI document: current, well formed, and its schemas accept and refuse what the models do."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cloud_sync import asyncapi, clock, topics
from cloud_sync.device_state import DeviceState
from cloud_sync.messages import BODIES, Answer, Answers
from cloud_sync.outbox import new_id
from tests.cloud_sync.helpers import EXAMPLES, envelope


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(asyncapi.FILE.read_text(encoding="utf-8"))
    return loaded


def check(document: dict[str, Any], schema: str, value: object) -> None:
    # the whole document as schema, so that its references are found
    jsonschema.Draft202012Validator({**document, "$ref": f"#/components/schemas/{schema}"}).validate(value)


def test_the_document_is_current(document: dict[str, Any]) -> None:
    """SYNC-061."""
    assert asyncapi.FILE.read_text(encoding="utf-8") == asyncapi.as_yaml(), "run python -m cloud_sync.asyncapi"
    assert document == asyncapi.document()


def test_the_document_is_asyncapi_3(document: dict[str, Any]) -> None:
    """SYNC-061: by AsyncAPI's own schema, of @asyncapi/specs 6.11.1 (Apache-2.0), kept beside this test."""
    packed = Path(__file__).with_name("asyncapi-3.0.0.json.gz").read_bytes()
    official = jsonschema.Draft7Validator(json.loads(gzip.decompress(packed)))
    official.validate(document)
    assert not official.is_valid({**document, "operations": {"sendRecord": {"action": "shout"}}})


@pytest.mark.parametrize("kind", EXAMPLES)
def test_each_example_fits_its_schema_and_no_other(document: dict[str, Any], kind: str) -> None:
    """SYNC-061."""
    for other, body in BODIES.items():
        schema = f"{body.__name__.removesuffix('Body')}Record"
        if other == kind:
            check(document, schema, envelope(kind))
        else:
            with pytest.raises(jsonschema.ValidationError):
                check(document, schema, envelope(kind))


@pytest.mark.parametrize(
    "changes", [{"message": "1"}, {"device": "A/B"}, {"sequence": 0}, {"version": 2}, {"body": {}}]
)
def test_the_schema_refuses_what_the_model_refuses(document: dict[str, Any], changes: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(document, "TreeRecord", envelope(**changes))


def test_answers_and_state_fit(document: dict[str, Any]) -> None:
    rejected = Answer(message=new_id(), result="rejected", reason="x")
    outdated = Answer(message=new_id(), result="outdated", revision=3)
    check(document, "Answers", Answers(answers=[rejected, outdated]).model_dump(mode="json"))
    for told in ({"online": False}, {"online": True, "clock": clock.now()}):
        check(document, "DeviceState", json.loads(DeviceState.model_validate({**told, "store": new_id()}).payload()))


def test_channels_are_the_topics(document: dict[str, Any]) -> None:
    """SYNC-001."""
    addresses = {name: channel["address"] for name, channel in document["channels"].items()}
    assert addresses == {
        "record": topics.up("{device}", "{type}"),
        "batch": topics.batch("{device}"),
        "answers": topics.acknowledgements("{device}"),
        "state": topics.state("{device}"),
        "question": topics.question("{device}"),
        "digest": topics.digest("{device}"),
        "missing": topics.missing("{device}"),
        "greeting": topics.greeting("{device}"),
        "documents": topics.documents("{device}"),
        "stored": topics.stored("{device}", "{type}"),
    }


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: object) -> list[str]:
        if isinstance(value, list):
            return [found for item in value for found in references(item)]
        if not isinstance(value, dict):
            return []
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in references(item)]

    found = references(document)
    assert len(found) > 20
    for reference in found:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_without_yaml_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(asyncapi.MissingYamlError, match=r"pip install '\.\[dev\]'"):
        asyncapi.as_yaml()
