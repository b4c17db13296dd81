"""Yields of counties and orchards from a season of satellite and weather data: table, networks, training."""

from models.torchvision_guard import mend_torchvision

mend_torchvision()  # Lightning imports torchvision, which may have to be mended first
