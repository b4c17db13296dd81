"""A pixel network as an ONNX file that says what it eats, and proof that it computes the same."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from models.crops.int8_lstm import in_int8
from models.crops.series import CropError, FloatArray

OPSET = 17
_KEY = "pomona"
_LARGEST_DIFFERENCE = 1e-5
# ten times what probabilities of two classes differ by on average; of real points none changed its class any more
_CLOSE = 0.05


@dataclass(frozen=True)
class Eats:
    """What a network's series have to be.

    Attributes:
        bands: names in order.
        steps: names in order.
        legend: names of the classes in order.
    """

    bands: tuple[str, ...]
    steps: tuple[str, ...]
    legend: tuple[str, ...]


class _Probabilities(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, series: Tensor) -> Tensor:
        return torch.softmax(self.network(series), -1)


def export(network: nn.Module, eats: Eats, path: Path) -> float:
    """Write a network as ONNX: series (pixels, steps, bands) to probabilities (pixels, classes).

    Args:
        network: that gives logits.
        eats: what it is fed with; kept in the file.
        path: of the file; it is there whole or not at all.

    Returns:
        The largest difference of a probability from PyTorch's, on random series.

    Raises:
        CropError: the file computes something else.
    """
    ready = _Probabilities(network).cpu().eval()
    random = torch.Generator().manual_seed(0)
    series = torch.rand(7, len(eats.steps), len(eats.bands), generator=random)
    partial = path.with_suffix(".partial")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings(
            "ignore", message="Exporting a model to ONNX with a batch_size"
        )  # states are made in it
        warnings.filterwarnings("ignore", message="Converting a tensor")
        torch.onnx.export(
            ready,
            (series,),
            str(partial),
            opset_version=OPSET,
            dynamo=False,  # the exporter that keeps an LSTM one operator
            input_names=["series"],
            output_names=["probabilities"],
            dynamic_axes={"series": {0: "pixels"}, "probabilities": {0: "pixels"}},
        )
        expected = ready(series).numpy()
    graph = onnx.load(partial)
    graph.metadata_props.add(key=_KEY, value=json.dumps(asdict(eats), sort_keys=True))
    onnx.checker.check_model(graph)
    onnx.save(graph, partial)
    session = open_session(partial, 1)
    alone = np.concatenate([ask(session, series.numpy()[i : i + 1]) for i in range(len(series))])
    difference = max(float(np.abs(found - expected).max()) for found in (ask(session, series.numpy()), alone))
    if difference > _LARGEST_DIFFERENCE:
        partial.unlink()
        raise CropError(f"the ONNX graph differs from the network by {difference:.1e}; it was not written")
    partial.replace(path)
    return difference


def open_session(path: Path, threads: int) -> Any:
    """A session of ONNX Runtime on the CPU.

    Raises:
        CropError: no ONNX file.
    """
    try:
        return _session(str(path), threads)
    except Exception as error:  # ONNX Runtime's own errors share no base class
        raise CropError(f"{path} cannot be opened: {error}; give the model.onnx that training wrote") from error


def open_int8(path: Path, threads: int) -> Any:
    """A session of the same network with its matrix products in integers.

    Raises:
        CropError: no ONNX file, or not of a stacked LSTM.
    """
    steps = len(what_it_eats(open_session(path, 1)).steps)
    return _session(in_int8(onnx.load(path), steps).SerializeToString(), threads)


def _session(graph: str | bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def what_it_eats(session: Any) -> Eats:
    """What the series of an opened file have to be.

    Raises:
        CropError: a file that was not written here.
    """
    kept = session.get_modelmeta().custom_metadata_map.get(_KEY)
    if kept is None:
        raise CropError("the ONNX file does not say its bands, steps and classes; give one that Pomona wrote")
    read: dict[str, Sequence[str]] = json.loads(kept)
    return Eats(*(tuple(read[name]) for name in ("bands", "steps", "legend")))


def ask(session: Any, series: FloatArray) -> FloatArray:
    """(n, classes) probabilities of series (n, steps, bands)."""
    found: FloatArray = session.run(["probabilities"], {"series": series})[0]
    return found


def ask_quickly(session: Any, int8: Any, series: FloatArray) -> FloatArray:
    """The same by the network in integers, and by the network itself where the two best classes are close."""
    found = ask(int8, series)
    second, best = np.partition(found, -2, 1)[:, -2:].T
    close = best - second < _CLOSE
    if close.any():
        found[close] = ask(session, series[close])
    return found
