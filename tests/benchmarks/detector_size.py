"""The form of the paper's Table 14: what each detector weighs and costs, by the paper's convention and honestly."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from models.detection.meter import measure
from models.detection.networks import ABLATIONS, build_network
from tests.benchmarks.paper import NAMES, SIZE

_TEXT = """# Size of the detectors

The form of the paper's Table 14. *By the paper's convention*: 80 classes, normalisations folded, only convolution
modules counted, at 640 x 640; that is how its printed values come about. *Operators*: every convolution and matrix
product, functional ones included, plus the scans by formula. The file is the state dict in half precision.

```sh
python -m tests.benchmarks.detectors size
```
"""


def size_page() -> str:
    """Measure each network; takes a minute."""
    head = (
        "network", "parameters, M", "GFLOPs", "paper: parameters, M", "GFLOPs", "operators, GFLOPs",
        "file, MB", "paper: file, MB", "two classes: parameters, M",
    )  # fmt: skip
    rows = []
    for name in (*SIZE, "yolo-a-light", *ABLATIONS):
        network = build_network(name, 80)
        cost = measure(network)
        printed = [f"{value:g}" for value in SIZE[name]] if name in SIZE else ["", "", ""]
        ours = measure(build_network(name, 2), 64).parameters / 1e6
        rows.append(
            (
                NAMES[name],
                f"{cost.fused_parameters / 1e6:.3f}",
                f"{cost.table_gflops:.2f}",
                printed[1],
                printed[0],
                f"{cost.operator_gflops:.2f}",
                f"{_file_mb(network):.1f}",
                printed[2],
                f"{ours:.3f}",
            )
        )
    lines = [head, ["---"] * len(head), *rows]
    note = (
        "\nThe paper's RT-DETR has a ResNet34 in front, ours HGNetv2 (`rtdetr-l` of ultralytics). Rows named by "
        "modules alone are YOLO11n with these modules of YOLO-A.\n"
    )
    return _TEXT + "\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n" + note


def _file_mb(network: torch.nn.Module) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        state = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
        torch.save(state, path)
        return path.stat().st_size / 1e6
