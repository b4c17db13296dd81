"""The apple framework's own figures: its Tables 11 to 15. Percentages of the paper are shares here."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = {
    "yolov5n": "YOLOv5n",
    "yolov6n": "YOLOv6n",
    "yolov8n": "YOLOv8n",
    "yolov9t": "YOLOv9t",
    "yolov10n": "YOLOv10n",
    "yolo11n": "YOLO11n",
    "yolo12n": "YOLO12n",
    "rtdetr-l": "RT-DETR",
    "yolo-a": "YOLO-A",
    "yolo-a-light": "YOLO-A light",
    "yolo-a-glicm": "GLICM",
    "yolo-a-fsppf": "F-SPPF",
    "yolo-a-iafm": "IAFM",
    "yolo-a-glicm-fsppf": "GLICM, F-SPPF",
    "yolo-a-glicm-iafm": "GLICM, IAFM",
    "yolo-a-fsppf-iafm": "F-SPPF, IAFM",
}


@dataclass(frozen=True)
class Printed:
    """Precision, recall, AP50 and AP50-95 as the paper prints them."""

    precision: float
    recall: float
    ap50: float
    ap50_95: float


def _shares(*percent: float) -> Printed:
    precision, recall, ap50, ap50_95 = (value / 100 for value in percent)
    return Printed(precision, recall, ap50, ap50_95)


# Table 11, flowers; its RT-DETR has a ResNet34 in front
FLOWERS = {
    "yolov5n": _shares(77.59, 73.65, 81.62, 51.52),
    "yolov6n": _shares(78.5, 74.8, 81.88, 51.27),
    "yolov8n": _shares(78.5, 74.47, 81.94, 51.52),
    "yolov9t": _shares(75.34, 77.01, 82.35, 52.23),
    "yolov10n": _shares(75.52, 76.2, 81.66, 51.03),
    "yolo11n": _shares(78.24, 77.33, 82.71, 51.92),
    "yolo12n": _shares(76.61, 74.85, 81.66, 51.47),
    "rtdetr-l": _shares(73.07, 69.41, 74.35, 47.81),
    "yolo-a": _shares(79.17, 76.74, 83.13, 52.26),
}
# Table 12, fruit
FRUIT = {
    "yolov5n": _shares(90.79, 88.97, 95.02, 62.33),
    "yolov6n": _shares(90.85, 87.79, 94.61, 61.85),
    "yolov8n": _shares(90.26, 90.02, 95.26, 62.74),
    "yolov9t": _shares(92.05, 88.73, 95.32, 63.08),
    "yolov10n": _shares(91.45, 88.76, 95.13, 63.54),
    "yolo11n": _shares(92.17, 88.52, 95.3, 63.21),
    "yolo12n": _shares(90.68, 89.75, 95.47, 63.36),
    "rtdetr-l": _shares(93.84, 89.24, 95.68, 62.83),
    "yolo-a": _shares(93.03, 90.22, 96.28, 65.32),
}
# Table 13, fruit; the text at hand has lost the marks of its rows, which are taken to be the modules one by one, then
# the pairs, in the order of their columns
ABLATION = {
    "yolo-a-glicm": _shares(92.77, 90.11, 96.13, 64.59),
    "yolo-a-fsppf": _shares(92.73, 90.27, 96.20, 64.74),
    "yolo-a-iafm": _shares(92.45, 90.09, 96.21, 64.66),
    "yolo-a-glicm-fsppf": _shares(92.71, 90.08, 96.14, 64.95),
    "yolo-a-glicm-iafm": _shares(92.65, 90.37, 96.22, 64.69),
    "yolo-a-fsppf-iafm": _shares(92.71, 89.81, 96.11, 64.71),
    "yolo-a": FRUIT["yolo-a"],
}
# Table 14: GFLOPs, millions of parameters, file size in MB
SIZE = {
    "yolov5n": (7.73, 2.65, 5.0),
    "yolov6n": (13.01, 4.49, 8.3),
    "yolov8n": (8.75, 3.15, 6.0),
    "yolov9t": (8.23, 2.09, 4.4),
    "yolov10n": (6.70, 2.29, 5.5),
    "yolo11n": (6.48, 2.62, 5.2),
    "yolo12n": (6.49, 2.59, 5.2),
    "rtdetr-l": (87.4, 29.99, 57.9),
    "yolo-a": (7.8, 3.94, 8.0),
}
# Table 15: seconds an epoch, milliseconds of inference
TIME = {"yolo11n": (42.09, 4.12), "yolo-a": (192.05, 9.59)}
