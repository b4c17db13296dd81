"""What this machine has to run TensorRT: the GPU, the library, and the calls of CUDA's runtime, each checked."""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from export.runtime.errors import EngineError, MissingPartError

if TYPE_CHECKING:
    from cuda.bindings.runtime import cudaError_t

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Machine:
    """What an engine belongs to.

    Attributes:
        gpu: its name and multiprocessors; Jetson modules of one family share the name.
        compute_capability: as ``8.7``.
        tensorrt: version of TensorRT.
    """

    gpu: str
    compute_capability: str
    tensorrt: str

    @property
    def strongly_typed(self) -> bool:
        """Whether precisions come from the graph alone: TensorRT 11 has no builder flags for them."""
        return int(self.tensorrt.split(".")[0]) >= 11


def tensorrt_is_installed() -> bool:
    """Whether TensorRT's Python module can be found; whether it also runs is another matter."""
    with contextlib.suppress(ImportError):  # whoever looks for modules may refuse this one
        return importlib.util.find_spec("tensorrt") is not None
    return False


def this_machine() -> Machine:
    """The first GPU and the TensorRT of this machine.

    Raises:
        MissingPartError: TensorRT or cuda-python is not installed.
        EngineError: there is no GPU, or its driver does not answer.
    """
    try:
        import tensorrt  # noqa: PLC0415  (only where there is an NVIDIA GPU)
    except (ImportError, OSError) as error:  # a library beside the module may be missing too
        raise MissingPartError(
            f"TensorRT is missing ({error}); it needs an NVIDIA GPU. On a Jetson: apt-get install python3-libnvinfer, "
            "and make Pomona's environment with --system-site-packages"
        ) from error
    try:
        from cuda.bindings import runtime  # noqa: PLC0415  (as above)
    except (ImportError, OSError) as error:
        raise MissingPartError(f"cuda-python is missing ({error}); pip install '.[cuda]' in Pomona's folder") from error
    count, found = runtime.cudaGetDeviceCount()
    if count == runtime.cudaError_t.cudaErrorInsufficientDriver:
        raise EngineError(
            "no GPU answers: its driver is missing, or older than cuda-python; see docs/how-to/tensorrt.md"
        )
    if value((count, found), "count GPUs") == 0:
        raise EngineError("no GPU is there; count with --engine onnxruntime")
    properties = value(runtime.cudaGetDeviceProperties(0), "ask the GPU what it is")
    return Machine(
        gpu=f"{properties.name.decode(errors='replace')}, {properties.multiProcessorCount} multiprocessors",
        compute_capability=f"{properties.major}.{properties.minor}",
        tensorrt=tensorrt.__version__,
    )


def value(answer: tuple[cudaError_t, _Result], what: str) -> _Result:
    """What a call of CUDA's runtime returned.

    Args:
        answer: as the call gave it.
        what: what it was to do, for the message.

    Raises:
        EngineError: it failed.
    """
    done(answer[:1], what)
    return answer[1]


def done(answer: tuple[cudaError_t], what: str) -> None:
    """See that a call of CUDA's runtime that returns nothing succeeded.

    Raises:
        EngineError: it failed.
    """
    from cuda.bindings import runtime  # noqa: PLC0415  (as above)

    (error,) = answer
    if error != runtime.cudaError_t.cudaSuccess:
        _, text = runtime.cudaGetErrorString(error)
        raise EngineError(f"CUDA cannot {what}: {text.decode(errors='replace')} ({int(error)})")
