"""Every numbered rule of the protocol is named by a test, and every number a test names is a rule."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def numbers(text: str) -> list[str]:
    return re.findall(r"SYNC-\d{3}", text)


def test_rules_and_tests_name_each_other() -> None:
    page = (_ROOT / "docs" / "reference" / "sync.md").read_text(encoding="utf-8")
    rules = re.findall(r"^\* \*\*(SYNC-\d{3})\*\*", page, re.MULTILINE)
    assert len(rules) == len(set(rules)) > 30
    assert rules == sorted(rules)
    tests = {
        number
        for file in (_ROOT / "tests").rglob("test_*.py")
        if file != Path(__file__)
        for number in numbers(file.read_text(encoding="utf-8"))
    }
    assert tests == set(rules)
    assert set(numbers(page)) == set(rules)
