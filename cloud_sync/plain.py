"""Messages as plain JSON, their boxes unpacked, for readers who know nothing of Pomona."""

from __future__ import annotations

from pydantic import JsonValue

from cloud_sync.boxes import unpack_boxes
from cloud_sync.messages import Body, Envelope


def plain_record(envelope: Envelope, body: Body) -> dict[str, JsonValue]:
    """A record with its envelope, as JSON values.

    Args:
        envelope: the envelope; its version is replaced by the body's.
        body: the body, checked.

    Returns:
        The envelope's fields, ``natural_key``, and ``body``, in which each packed box is an object with ``label``,
        ``score`` (0 to 1) and ``box`` (x1, y1, x2, y2 in pixels of the upright photo), the best first.
    """
    values = body.model_dump(mode="json", exclude_unset=True)
    for field in body.BOXES:
        if field in values:
            values[field] = plain_boxes(values[field], values.get("labels", ()))
    said = envelope.model_dump(mode="json", exclude={"body"}, exclude_unset=True)
    return {**said, "version": body.VERSION, "natural_key": body.natural_key(), "body": values}


def plain_boxes(text: str, labels: list[str]) -> list[JsonValue]:
    """Packed boxes as JSON values."""
    rows = unpack_boxes(text)
    scores = (rows["score"] / 255).round(3).tolist()
    boxes = zip(rows["box"].tolist(), scores, rows["label"].tolist(), strict=True)
    return [{"label": labels[label], "score": score, "box": box} for box, score, label in boxes]
