"""How far long work has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Told = Callable[[str, int, int], None]


@contextmanager
def progress_bar() -> Iterator[Told]:
    """A bar on a terminal, nothing in a pipe; called with what is being done, steps done, and steps or 0 if unknown."""
    from rich.console import Console  # noqa: PLC0415  (only commands that take long)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("reading", total=None)

        def told(stage: str, done: int, steps: int) -> None:
            progress.update(task, description=stage, completed=done, total=steps or None)

        yield told
