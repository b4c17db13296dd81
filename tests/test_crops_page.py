"""The page of crop results: from what models said to tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.benchmarks.crops_page import (
    BY_FOUND,
    BY_SHARES,
    CLEAN,
    FINAL,
    FIRST,
    FOREST,
    NOISY,
    NOISY_FINAL,
    OURS,
    Outcome,
    write_page,
)
from tests.models.crops.drawn_series import drawn


def _said(right: float, seed: int) -> np.ndarray:
    pixels = drawn(600)
    random = np.random.default_rng(seed)
    wrong = random.random((2, 600)) > right
    mapped = np.where(wrong, (pixels.label + 1) % 3, pixels.label)
    mapped[0, :300], mapped[1, 300:] = -1, -1  # each training was tested on other blocks
    return mapped


def test_tables_hold_every_model_and_what_ours_wins(tmp_path: Path) -> None:
    mapped = {OURS: _said(0.9, 0), FOREST: _said(0.7, 1)}
    shares = {OURS + BY_SHARES: _said(0.95, 2), FOREST + BY_SHARES: _said(0.945, 3)}
    write_page(
        {"a": Outcome("Somewhere", "A note.", drawn(600), mapped | shares, 100)}, tmp_path / "page.md", ["Elsewhere"]
    )
    page = (tmp_path / "page.md").read_text()
    ours, by_shares = (line for line in page.splitlines() if line.startswith(f"| **{OURS}** | 2 | 0.9"))
    forest, _ = (line for line in page.splitlines() if line.startswith(f"| {FOREST} | 2 | "))
    assert ours.endswith("|  |")
    assert by_shares.split("|")[3] > ours.split("|")[3]
    less = float(forest.split("|")[-2].split()[0])
    assert 0.1 < less < 0.3
    assert "## Somewhere\n\nA note." in page
    assert page.endswith("## Not run yet\n\n* Elsewhere\n")
    above, alike = (line for line in page.splitlines() if "OA above the forest's" in line)
    assert above.endswith("| yes |")
    assert alike.endswith("| yes, within chance |")


def test_a_bar_is_kept_or_missed_by_so_much(tmp_path: Path) -> None:
    mapped = {OURS: _said(0.8, 0), OURS + BY_SHARES: _said(0.86, 1), OURS + BY_FOUND: _said(0.9, 2)}
    page = tmp_path / "page.md"
    write_page({"california-random": Outcome("California", "", drawn(3000), _longer(mapped), 100)}, page)
    kept = [line.split("|")[-2].strip() for line in page.read_text().splitlines() if line.startswith("| California")]
    assert kept[0].startswith("no, 0.0")
    assert kept[2] == "yes"


def _longer(mapped: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.tile(said, 5) for name, said in mapped.items()}


def test_the_joint_task_says_what_stages_and_reliable_samples_bring(tmp_path: Path) -> None:
    right = {FIRST: 0.8, FINAL: 0.9, CLEAN: 0.9, NOISY: 0.7, NOISY_FINAL: 0.8}
    mapped = {name: _said(share, seed) for seed, (name, share) in enumerate(right.items())}
    write_page({"joint": Outcome("Both", "", drawn(600), mapped, 100)}, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| crop 2 |" in page
    in_overall, _ = (line for line in page.splitlines() if "the whole pipeline above its own first stage" in line)
    assert "| +0." in in_overall
    (share,) = (line for line in page.splitlines() if "win back" in line)
    assert 30 <= int(share.split("): ")[1].split("%")[0]) <= 70
