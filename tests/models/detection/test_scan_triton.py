"""The recurrence on a GPU: what the module needs, what it refuses, and its kernels without a GPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.detection.scan_triton import scan_triton, triton_runs
from tests.processes import run_python

KERNEL_TESTS = Path(__file__).with_name("test_scan_triton_kernels.py")


def test_the_kernel_runs_in_tritons_interpreter() -> None:
    pytest.importorskip("triton")
    done = run_python(
        "import os; os.environ['TRITON_INTERPRET'] = '1'\n"
        "import pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '--durations=8', sys.argv[1]]))",
        KERNEL_TESTS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("name", ["_forward", "_backward"])
def test_the_kernels_compile_for_a_gpu(
    name: str, mirrored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    triton = pytest.importorskip("triton")
    if os.environ.get("TRITON_INTERPRET") == "1":
        pytest.skip("TRITON_INTERPRET=1: kernels are interpreted, not compiled")
    from triton.backends.compiler import GPUTarget  # noqa: PLC0415  (not installed everywhere)
    from triton.compiler import ASTSource  # noqa: PLC0415

    from models.detection import scan_triton_kernels as kernels  # noqa: PLC0415

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = getattr(kernels, name)
    settings: dict[str, Any] = {"MIRRORED": mirrored, "ROWS": 4, "STEPS": 64, "FLOAT": triton.language.float32}
    types = {argument: "*fp32" if argument.endswith("_ptr") else "i32" for argument in kernel.arg_names}
    source = ASTSource(kernel, types | dict.fromkeys(settings, "constexpr"), settings)
    ampere = GPUTarget("cuda", 80, 32)
    assert triton.compile(source, target=ampere, options={"enable_fp_fusion": True}).asm["cubin"]


def test_without_triton_the_module_loads_and_says_what_to_do() -> None:
    done = run_python(
        "import torch; from types import SimpleNamespace\n"
        "from models.detection.scan_triton import MissingTritonError, scan_triton, triton_runs\n"
        "print(triton_runs(SimpleNamespace(is_cuda=True)))\n"
        "try: scan_triton(torch.ones(3), torch.ones(3))\n"
        "except MissingTritonError as error: print(error.exit_code, error)",
        blocked=["triton"],
    )
    runs, said = done.stdout.splitlines()
    assert runs == "False", done.stderr
    assert said.startswith("1 the scan kernel needs triton, which does not load (No module named 'triton'")
    assert "pip install triton" in said
    assert "scan_two_level" in said


def test_a_tensor_on_the_cpu_is_refused_with_the_form_that_takes_it() -> None:
    pytest.importorskip("triton")
    assert not triton_runs(torch.ones(3))
    with pytest.raises(ValueError, match="not on cpu and cpu; call scan_two_level elsewhere"):
        scan_triton(torch.ones(3), torch.ones(3))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.ones(2, 3), torch.ones(3), r"one shape .* not \(2, 3\) and \(3,\)"),
        (torch.tensor(1.0), torch.tensor(1.0), r"one shape \(…, L\), not \(\) and \(\)"),
        (torch.ones(3), torch.ones(3, dtype=torch.int64), "floating point numbers, not torch.float32 and torch.int64"),
    ],
    ids=["shapes", "no axis", "integers"],
)
def test_inputs_it_cannot_take_are_named(a: Tensor, b: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scan_triton(a, b)
