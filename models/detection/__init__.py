"""YOLO-A, the apple framework's detector: network, training, export form."""

import os

from models.torchvision_guard import mend_torchvision

# Both are read when ultralytics is imported: look for no network, install nothing.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
mend_torchvision()  # ultralytics imports torchvision, which may have to be mended first
