"""The JSON Schemas: current, valid, and they accept and refuse what the models do."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from cloud_sync import json_schemas
from cloud_sync.device_state import DeviceState
from cloud_sync.messages import BODIES, Answer, Answers
from cloud_sync.outbox import new_id
from tests.cloud_sync.helpers import EXAMPLES, envelope

FILES = {file.stem: file for file in json_schemas.FOLDER.glob("*.json")}


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads(FILES[name].read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def test_the_files_are_current() -> None:
    """SYNC-061."""
    expected = {name: json_schemas.as_text(schema) for name, schema in json_schemas.schemas().items()}
    held = {name: file.read_text(encoding="utf-8") for name, file in FILES.items()}
    assert held == expected, "run python -m cloud_sync.json_schemas"


def test_there_is_one_for_each_type_and_all_else() -> None:
    """SYNC-061."""
    assert FILES.keys() == {*BODIES, *json_schemas.OTHERS}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_each_example_fits_its_own_schema_and_no_other(kind: str) -> None:
    """SYNC-061."""
    assert [name for name in BODIES if validator(name).is_valid(envelope(kind))] == [kind]


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize(
    "changes", [{"message": "1"}, {"device": "A/B"}, {"version": 99}, {"body": {}}, {"body": None}]
)
def test_what_a_model_refuses_does_not_fit(kind: str, changes: dict[str, Any]) -> None:
    """SYNC-061."""
    assert not validator(kind).is_valid(envelope(kind, **changes))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_fields_of_a_newer_device_fit(kind: str) -> None:
    """SYNC-012."""
    assert validator(kind).is_valid(envelope(kind, body={**EXAMPLES[kind], "new": [None]}, hello=1))


def test_answers_and_state_fit() -> None:
    """SYNC-061."""
    answers = Answers(answers=[Answer(message=new_id(), result="outdated", revision=3)])
    validator("answers").validate(answers.model_dump(mode="json"))
    validator("state").validate(json.loads(DeviceState(online=True, store=new_id()).payload()))
    assert not validator("answers").is_valid({"answers": [{"message": new_id(), "result": "perhaps"}]})
