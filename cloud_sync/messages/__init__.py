"""The messages a device sends and the server answers: one envelope, one body a type.

Bodies name things by their natural keys (block name, tree code, photo hash), so that a backend can use a message
without having seen another, and one SD card read on two devices is recognised as one. Unknown fields are kept:
a newer device may send more than this server knows.
"""

from __future__ import annotations

from cloud_sync.messages.answers import MOST_REASON, Answer, Answers
from cloud_sync.messages.bodies import (
    BODIES,
    BlockBody,
    CountBody,
    DetectionsBody,
    EstimateBody,
    EstimateComponent,
    HarvestBody,
    HealthBody,
    ModelStateBody,
    OrchardBody,
    PhotoBody,
    ReviewBody,
    ThumbnailBody,
    TreeBody,
    VisitBody,
)
from cloud_sync.messages.body import Body, Lane
from cloud_sync.messages.decoding import decode_body, decode_envelope
from cloud_sync.messages.envelope import MOST_BYTES, Envelope
from cloud_sync.messages.fields import MOST_JPEG_BYTES, STAGES, Identifier, Stage
from cloud_sync.messages.predictions import EstimatePrediction, pack_series, unpack_series

__all__ = [
    "BODIES",
    "MOST_BYTES",
    "MOST_JPEG_BYTES",
    "MOST_REASON",
    "STAGES",
    "Answer",
    "Answers",
    "BlockBody",
    "Body",
    "CountBody",
    "DetectionsBody",
    "Envelope",
    "EstimateBody",
    "EstimateComponent",
    "EstimatePrediction",
    "HarvestBody",
    "HealthBody",
    "Identifier",
    "Lane",
    "ModelStateBody",
    "OrchardBody",
    "PhotoBody",
    "ReviewBody",
    "Stage",
    "ThumbnailBody",
    "TreeBody",
    "VisitBody",
    "decode_body",
    "decode_envelope",
    "pack_series",
    "unpack_series",
]
