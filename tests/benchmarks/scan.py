"""Time of the selective scan's recurrence in each of its forms, at the sizes of the detector's levels P4 and P5.

    python -m tests.benchmarks.scan [--batch N] [--rounds N] [--threads N]

Every form computes the same states from the same decays and inputs in float32, forward alone and with the gradients
of both inputs; the forms take turns. On a GPU the Triton kernel takes part, beside copies on the device that move as
many bytes as the kernel must: the floor that memory sets.

Times are medians with their range. A ratio is the median over the turns and, in brackets, that of the fastest times,
since a machine shared with others only ever adds time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.detection.scan import scan_doubling, scan_sequential, scan_two_level
from models.detection.scan_triton import scan_triton, triton_runs

Work = Callable[[], object]

# (directions, inner channels, steps) of a photo of 640 px, one state a channel
LEVELS = {"P4": (4, 128, 1600), "P5": (4, 512, 400)}
FORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sequential": scan_sequential,
    "doubling": scan_doubling,
    "two level": scan_two_level,
}
REFERENCE = "two level"  # what training uses where there is no GPU
KERNEL = "triton"
FLOOR = "copy"
# Tensors as large as the states that must cross memory: a, b, h; and g, a, h, ∂a, ∂b for the gradients
TENSORS_MOVED = {"forward": 3, "forward and backward": 3 + 5}


@dataclass
class _Side:
    work: Work
    moved_bytes: float | None = None
    seconds: list[float] = field(default_factory=list)


def _forward(form: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Work:
    @torch.no_grad()
    def work() -> Tensor:
        return form(a, b)

    return work


def _both_ways(form: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor, grad: Tensor) -> Work:
    inputs = (a.clone().requires_grad_(), b.clone().requires_grad_())
    return lambda: torch.autograd.grad(form(*inputs), inputs, grad)


def _copy(like: Tensor, moved_bytes: float) -> Work:
    """A copy on the device that reads half of these bytes and writes the other half."""
    source = torch.zeros(int(moved_bytes / 2 / like.element_size()), device=like.device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def _sides(pass_: str, shape: tuple[int, ...], device: str) -> dict[str, _Side]:
    a = torch.exp(-torch.rand(shape, device=device))
    b, grad = torch.randn(2, *shape, device=device)
    forms = FORMS | ({KERNEL: scan_triton} if triton_runs(a) else {})
    moved_bytes = TENSORS_MOVED[pass_] * a.numel() * a.element_size()
    sides = {
        name: _Side(
            _forward(form, a, b) if pass_ == "forward" else _both_ways(form, a, b, grad),
            moved_bytes if name == KERNEL else None,
        )
        for name, form in forms.items()
    }
    if a.is_cuda:
        sides[FLOOR] = _Side(_copy(a, moved_bytes), moved_bytes)
    return sides


def _seconds(work: Work, device: str, repeats: int) -> float:
    """Seconds of one run, the mean of some in a row; on a GPU by its own clock."""
    if device == "cpu":
        started = time.perf_counter()
        for _ in range(repeats):
            work()
        return (time.perf_counter() - started) / repeats
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    for _ in range(repeats):
        work()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1000 / repeats


def _take_turns(sides: dict[str, _Side], device: str, rounds: int) -> None:
    """Rounds in alternating order, after a run that compiles and one that tells how many runs make up 20 ms."""
    repeats: dict[str, int] = {}
    for name, side in sides.items():
        _seconds(side.work, device, 1)
        repeats[name] = max(1, round(0.02 / _seconds(side.work, device, 1)))
    for number in range(rounds):
        for name in sides if number % 2 == 0 else reversed(sides):
            sides[name].seconds.append(_seconds(sides[name].work, device, repeats[name]))


def _against(side: _Side, other: _Side) -> str:
    turns = statistics.median(own / theirs for own, theirs in zip(side.seconds, other.seconds, strict=True))
    return f"{turns:6.2f} ({min(side.seconds) / min(other.seconds):.2f})"


def _show(sides: dict[str, _Side]) -> None:
    for name, side in sides.items():
        median = statistics.median(side.seconds)
        line = f"  {name:10} {median * 1000:9.3f} ms ({min(side.seconds) * 1000:.3f} to {max(side.seconds) * 1000:.3f})"
        line += f", {_against(side, sides[REFERENCE])} of {REFERENCE}"
        if side.moved_bytes:
            line += f", {_against(side, sides[FLOOR])} of {FLOOR}, {side.moved_bytes / median / 1e9:.0f} GB/s"
        print(line)


def compare(device: str, batch: int, rounds: int) -> None:
    """Time all forms on one device and print the times with their ratios."""
    for level, lead in LEVELS.items():
        for pass_ in TENSORS_MOVED:
            shape = (batch, *lead)
            sides = _sides(pass_, shape, device)
            _take_turns(sides, device, rounds)
            print(f"{level} {shape} on {device}, {pass_}, {rounds} rounds")
            _show(sides)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2, help="of the CPU")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    compare("cpu", arguments.batch, arguments.rounds)
    if not torch.cuda.is_available():
        print("no CUDA device: the Triton kernel was not timed")
        return
    print(torch.cuda.get_device_name())
    if not triton_runs(torch.empty(0, device="cuda")):
        print("triton does not load: the Triton kernel was not timed")
    compare("cuda", arguments.batch, arguments.rounds)


if __name__ == "__main__":
    main()
