"""The device's commands."""

from device.commands.block import block
from device.commands.count import count
from device.commands.demo import demo
from device.commands.doctor import doctor
from device.commands.estimate import estimate, summary
from device.commands.models import models
from device.commands.page import page
from device.commands.plan import plan
from device.commands.satellite import satellite
from device.commands.season import harvest, season
from device.commands.simulate import simulate
from device.commands.sync import sync
from device.commands.visit import visit

__all__ = [
    "block",
    "count",
    "demo",
    "doctor",
    "estimate",
    "harvest",
    "models",
    "page",
    "plan",
    "satellite",
    "season",
    "simulate",
    "summary",
    "sync",
    "visit",
]
