"""A TensorRT engine in the GPU's memory, with its buffers; imported only where TensorRT and cuda-python are there."""

from __future__ import annotations

import ctypes
import math
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cuda
from numpy.typing import NDArray

from export.runtime.errors import EngineError
from export.runtime.gpu import done, value
from export.runtime.tensorrt_log import ErrorLog

_FLOAT32_BYTES = 4


@dataclass(frozen=True)
class _Buffer:
    """One input or output, float32.

    Attributes:
        name: of the tensor.
        host: its values here, in memory that the GPU reads and writes directly.
        device: address of its values on the GPU.
    """

    name: str
    host: NDArray[np.float32]
    device: int


class TensorRtSession:
    """Runs an engine of one input and one output on a CUDA stream of its own; all memory is taken once.

    Close it, or use it as a context manager: it holds memory of the GPU.

    Args:
        engine: the serialised engine.

    Raises:
        EngineError: it does not load here, is no engine of one float32 input and output, or memory is short.
    """

    def __init__(self, engine: bytes) -> None:
        self._log = ErrorLog()
        try:
            runtime = trt.Runtime(self._log)
        except TypeError as error:  # what the bindings make of a failed start
            raise EngineError(f"TensorRT {trt.__version__} cannot start: {self._log}") from error
        loaded = runtime.deserialize_cuda_engine(engine)
        if loaded is None:
            raise EngineError(f"TensorRT {trt.__version__} cannot load the engine: {self._log}")
        context = loaded.create_execution_context()
        if context is None:
            raise EngineError(f"TensorRT {trt.__version__} cannot start the engine: {self._log}")
        self._context: trt.IExecutionContext | None = context  # keeps what it was made of
        with ExitStack() as taken:  # given back at once when the rest fails
            self._stream = value(cuda.cudaStreamCreateWithFlags(cuda.cudaStreamNonBlocking), "make a stream")
            taken.callback(cuda.cudaStreamDestroy, self._stream)
            self._input = _take_buffer(loaded, trt.TensorIOMode.INPUT, taken)
            self._output = _take_buffer(loaded, trt.TensorIOMode.OUTPUT, taken)
            for buffer in (self._input, self._output):
                if not context.set_tensor_address(buffer.name, buffer.device):
                    raise EngineError(f"TensorRT does not take the memory of {buffer.name}: {self._log}")
            self._taken = taken.pop_all()

    @property
    def input_name(self) -> str:
        """Name of the input."""
        return self._input.name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input."""
        return self._input.host.shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the output."""
        return self._output.host.shape

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the engine.

        Args:
            images: as :attr:`input_shape` says.

        Returns:
            The output, the caller's own.

        Raises:
            EngineError: the input has another shape, the session is closed, or the GPU failed.
        """
        if self._context is None:
            raise EngineError("the engine is closed")
        if images.shape != self.input_shape:
            raise EngineError(f"the engine takes {self.input_shape} and was given {images.shape}")
        np.copyto(self._input.host, images)
        to_device, to_host = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice, cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        source, target = self._input, self._output
        size, stream = source.host.nbytes, self._stream
        done(
            cuda.cudaMemcpyAsync(source.device, _address(source.host), size, to_device, stream),
            "copy a tile to the GPU",
        )
        if not self._context.execute_async_v3(int(stream)):
            raise EngineError(f"TensorRT failed on a tile: {self._log}")
        size = target.host.nbytes
        done(cuda.cudaMemcpyAsync(_address(target.host), target.device, size, to_host, stream), "copy from the GPU")
        done(cuda.cudaStreamSynchronize(stream), "finish a tile")  # what failed on the way is told here
        output: NDArray[np.float32] = target.host.copy()
        return output

    def close(self) -> None:
        """Give all memory back; closing again does nothing."""
        self._context = None  # before what it points to
        self._taken.close()

    def __enter__(self) -> TensorRtSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _take_buffer(engine: trt.ICudaEngine, mode: trt.TensorIOMode, taken: ExitStack) -> _Buffer:
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    found = [name for name in names if engine.get_tensor_mode(name) == mode]
    if len(found) != 1 or engine.get_tensor_dtype(found[0]) != trt.DataType.FLOAT:
        raise EngineError(f"the engine has the {mode.name.lower()}s {found}, and not a single one of float32")
    shape = tuple(engine.get_tensor_shape(found[0]))
    count = math.prod(shape)
    if count <= 0:
        raise EngineError(f"the engine's {found[0]} has the shape {shape}, which is not static")
    size = count * _FLOAT32_BYTES
    device = value(cuda.cudaMalloc(size), f"take {size} bytes of the GPU's memory")
    taken.callback(cuda.cudaFree, device)
    address = value(cuda.cudaMallocHost(size), f"take {size} bytes of pinned memory")
    taken.callback(cuda.cudaFreeHost, address)
    values = np.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)
    return _Buffer(found[0], values, device)


def _address(array: NDArray[np.float32]) -> int:
    return int(array.ctypes.data)
