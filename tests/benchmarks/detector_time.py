"""The form of the paper's Table 15: time of a training step and of inference, each network beside YOLO11n."""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel

from export.evaluate.torch_engine import read_output
from models.detection.networks import build_network, use_low_precision
from models.detection.yolo_a import YoloA, export_form, quiet
from tests.benchmarks.paper import NAMES, SIZE, TIME

BASE = "yolo11n"
THREADS = 2
_IMAGE_PX, _CROP_PX, _BATCH = 640, 320, 16
_OPSET = 17

_TEXT = """The form of the paper's Table 15; each network takes turns with YOLO11n. Inference is timed as torch runs the
trained network and as ONNX Runtime runs its graph, one image of 640 px; a training step is forward, loss, backward and
optimiser on 16 crops of 320 px with convolutions in bfloat16, as in the protocol."""

Work = Callable[[], object]


class _Graph(nn.Module):
    """A network with one output, to be exported."""

    def __init__(self, network: DetectionModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return read_output(self.network, images)


def _exportable(network: DetectionModel) -> DetectionModel:
    if isinstance(network, YoloA):
        return export_form(network)
    return copy.deepcopy(network).eval()


def _onnx(network: DetectionModel, folder: Path) -> Work:
    path, image = folder / "graph.onnx", torch.rand(1, 3, _IMAGE_PX, _IMAGE_PX)
    with torch.no_grad(), quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter comments on every shape it freezes, which is what we want
        graph = _Graph(_exportable(network)).eval()
        graph(image)
        torch.onnx.export(graph, (image,), str(path), opset_version=_OPSET, dynamo=False, input_names=["images"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    pixels = image.numpy()
    return lambda: session.run(None, {"images": pixels})


def _waiting(work: Work, device: torch.device) -> Work:
    """The work until it is done: a GPU only takes it on."""
    if device.type != "cuda":
        return work

    def wait() -> None:
        work()
        torch.cuda.synchronize(device)

    return wait


def _torch(network: DetectionModel, device: torch.device) -> Work:
    image = torch.rand(1, 3, _IMAGE_PX, _IMAGE_PX, device=device)
    network = copy.deepcopy(network).to(device).eval()

    def infer() -> Tensor:
        with torch.no_grad():
            return read_output(network, image)

    return _waiting(infer, device)


def _step(name: str, device: torch.device) -> Work:
    network = build_network(name).to(device)
    use_low_precision(network)
    network.args = SimpleNamespace(**vars(get_cfg()))
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    random = np.random.default_rng(0)
    boxes_each = 20
    boxes = np.concatenate(
        (random.uniform(0.2, 0.8, (_BATCH * boxes_each, 2)), np.full((_BATCH * boxes_each, 2), 0.1)), 1
    )
    content = {
        "img": torch.rand(_BATCH, 3, _CROP_PX, _CROP_PX),
        "cls": torch.zeros(_BATCH * boxes_each, 1),
        "bboxes": torch.from_numpy(boxes.astype(np.float32)),
        "batch_idx": torch.arange(_BATCH).repeat_interleave(boxes_each).float(),
    }
    batch: dict[str, Any] = {key: value.to(device) for key, value in content.items()}

    def step() -> None:
        optimizer.zero_grad()
        loss, _ = network(batch)
        loss.sum().backward()
        optimizer.step()

    return _waiting(step, device)


def take_turns(ours: Work, base: Work, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of both, round by round, after one unmeasured run of each."""
    times: tuple[list[float], list[float]] = [], []
    works = ours, base
    for work in works:
        work()
    for number in range(rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            started = time.perf_counter()
            works[side]()
            times[side].append((time.perf_counter() - started) * 1000)
    return times


def _cell(ours: Sequence[float], base: Sequence[float]) -> str:
    ratios = [a / b for a, b in zip(ours, base, strict=True)]
    return (
        f"{statistics.median(ours):.0f} ms, {statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def time_page(networks: Sequence[str] | None, rounds: int, device: torch.device) -> str:
    """Time each network beside YOLO11n; what torch runs on the device, ONNX Runtime on the processor."""
    torch.set_num_threads(THREADS)
    rows, base_times = [], []
    for name in networks or (*SIZE, "yolo-a-light"):
        if name == BASE:
            continue
        with tempfile.TemporaryDirectory() as folder:
            ours, base = build_network(name), build_network(BASE)
            for part in ("ours", "base"):
                (Path(folder) / part).mkdir()
            pairs = [
                (_torch(ours, device), _torch(base, device)),
                (_onnx(ours, Path(folder) / "ours"), _onnx(base, Path(folder) / "base")),
                (_step(name, device), _step(BASE, device)),
            ]
            times = [take_turns(one, other, rounds) for one, other in pairs]
        base_times.append([statistics.median(base) for _, base in times])
        rows.append((NAMES[name], *(_cell(one, other) for one, other in times)))
    base_row = (NAMES[BASE], *(f"{statistics.median(column):.0f} ms" for column in zip(*base_times, strict=True)))
    head = ("network", "inference, torch", "inference, ONNX Runtime", "training step")
    lines = [head, ["---"] * len(head), base_row, *rows]
    epoch, inference = (TIME["yolo-a"][i] / TIME[BASE][i] for i in (0, 1))
    place = "" if device.type == "cpu" else f"torch on {torch.cuda.get_device_name(device)}, "
    medians = (
        f"{place}{THREADS} threads, medians of {rounds} rounds; ratios to YOLO11n are of the same round, their range in"
    )
    return (
        f"# Time of the detectors\n\n{_TEXT}\n{medians} brackets.\n\n"
        "```sh\npython -m tests.benchmarks.detectors time\n```\n\n"
        + "\n".join(f"| {' | '.join(line)} |" for line in lines)
        + f"\n\nThe paper's ratios of YOLO-A to YOLO11n, on a GPU: {inference:.2f} x in inference, "
        f"{epoch:.2f} x an epoch.\n"
    )
