"""``/metrics``: how the device fares, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from device.metrics import device_metrics
from device.page.context import Context, OpenedStore
from device.page.guard import METRICS

router = APIRouter()


@router.get(METRICS)
def metrics(store: OpenedStore, context: Context) -> Response:
    """What the device would say of itself to the server, and how the uplink fares."""
    return Response(device_metrics(store, context.settings.inbox), media_type=CONTENT_TYPE_LATEST)
