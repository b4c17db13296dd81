"""How much of a yield can be told before the season is over: models of its first months alone, each year left out.

    POMONA_DATA=data python -m tests.benchmarks.yields_season

What is done is kept in a folder (--runs) and not done again; docs/results/yields-in-season.md and its picture are
written from all that is there.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from textwrap import fill

import numpy as np
import torch
from matplotlib import style
from matplotlib.figure import Figure

from models.yields.candidates import Candidate, apyieldnet, wide_alone, wide_and_deep
from models.yields.comparison import Outcome, run_on_splits
from models.yields.scores import Interval, paired_skill, rmse
from models.yields.splits import leave_year_out
from models.yields.table import YieldTable
from tests.benchmarks.kept import keep
from tests.benchmarks.yields import MEMBERS, SETS, TRIALS
from tests.benchmarks.yields_page import WIDE_ALONE, WIDE_AND_DEEP, wrapped
from tests.dark_svg import BLUE, FAINT, ORANGE, STYLE, draw, save

PAGE, PICTURE = Path("docs/results/yields-in-season.md"), Path("docs/images/yields-in-season.svg")
NAMES = {"illinois": "Illinois soybean", "china-wheat": "Winter wheat in China", "state-apples": "Apples, USA"}
# what the last step of each beginning is
STEPS = {
    "illinois": [f"week {week}" for week in (4, 8, 12, 16, 20, 23, 26)],
    "china-wheat": ["November", "December", "January", "February", "March", "April", "May"],
    "state-apples": ["April", "May", "June", "July", "August", "September", "October"],
}
# models with the trials of their search; the network takes the settings that a search would try first
MODELS: Mapping[str, tuple[Callable[[YieldTable], Candidate], int]] = {
    WIDE_ALONE: (lambda _table: wide_alone(WIDE_ALONE), TRIALS),
    WIDE_AND_DEEP: (lambda table: wide_and_deep(apyieldnet(table, MEMBERS), WIDE_AND_DEEP), 1),
}

HEAD = """# Yields before the season is over

How much of a yield can be told when only the season's first months are known. Written by

```sh
POMONA_DATA=data python -m tests.benchmarks.yields_season
```

For each number of months a model of its own is fitted to seasons cut off there, since the network as a whole looks at
all months of what it is given. Every year is predicted by models that saw nothing of it, as in
[the comparison](yields.md). *Skill* is the share of the squared error of county effects, which see no season at all,
that a model of the months so far takes away; 0 is no better than knowing the place, and below 0 is worse. Intervals
are of 95 %, from 1000 resamples of the rows in pairs. The wide part alone is searched ({trials} trials); with the
network, the settings are those that a search tries first, the mean of {members} networks, and how much is taken of
line and network is settled by the training years.

![Skill over the months that are known](../images/yields-in-season.svg)
"""


def cut(table: YieldTable, steps: int) -> YieldTable:
    """The season's first steps; with none, one in which nothing happens."""
    if steps:
        return table.months_until(table.months[steps - 1])
    first = table.months_until(table.months[0])
    return replace(first, season=np.zeros_like(first.season))


def _run(data: Path, runs: Path, set_name: str, model: str, steps: int) -> None:
    torch.set_num_threads(1)
    table = cut(SETS[set_name].read(data / "satellite"), steps)
    make, trials = MODELS[model]
    outcome = run_on_splits(make(table), table, leave_year_out(table), trials)
    keep(_file(runs, set_name, model, steps), outcome.as_dict())
    print(f"{set_name}: {model}, {steps} steps", flush=True)


def _file(runs: Path, set_name: str, model: str, steps: int) -> Path:
    return runs / "in-season" / f"{set_name}-{model.replace(' ', '-')}-{steps}.json"


def _predicted(runs: Path, set_name: str, model: str, steps: int) -> Outcome | None:
    file = _file(runs, set_name, model, steps)
    return Outcome.from_dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def skills(data: Path, runs: Path) -> dict[str, dict[str, dict[int, tuple[float, Interval]]]]:
    """RMSE in the set's unit and skill in per cent, by set, model and number of steps that are known."""
    found: dict[str, dict[str, dict[int, tuple[float, Interval]]]] = {}
    for set_name in NAMES:
        effects = _predicted(runs, set_name, WIDE_ALONE, 0)
        if effects is None:
            continue
        real = SETS[set_name]
        yields = real.read(data / "satellite").yield_kg_per_ha
        for model in MODELS:
            for steps in range(1, len(STEPS[set_name]) + 1):
                outcome = _predicted(runs, set_name, model, steps)
                if outcome is not None:
                    error = float(rmse(yields, outcome.predicted)) / real.kg_per_ha
                    skill = paired_skill(yields, outcome.predicted, effects.predicted)
                    found.setdefault(set_name, {}).setdefault(model, {})[steps] = (error, skill)
    return found


def shown_of(found: Mapping[str, Mapping[str, Mapping[int, tuple[float, Interval]]]]) -> dict[str, list[float]]:
    """The numbers in the picture: steps, and skill with its ends, one after the other."""
    return {
        f"{NAMES[set_name]}, {model}": [
            round(value, 1) for steps, (_, s) in by_steps.items() for value in (steps, s.value, s.low, s.high)
        ]
        for set_name, models in found.items()
        for model, by_steps in models.items()
    }


def draw_skills(shown: Mapping[str, Sequence[float]]) -> Figure:
    """Skill over steps, a panel for each set."""
    sets = list(dict.fromkeys(name.split(", APY")[0].split(", Its")[0] for name in shown))
    figure, panels = draw(2.3 * len(sets) + 0.3, len(sets))
    for axes, name in zip(panels, sets, strict=True):
        axes.axhline(0, color=FAINT, linewidth=1)
        for model, colour, dashes, marker in ((WIDE_AND_DEEP, BLUE, "-", "o"), (WIDE_ALONE, ORANGE, "--", "D")):
            if f"{name}, {model}" in shown:
                steps, skill, low, high = np.reshape(shown[f"{name}, {model}"], (-1, 4)).T
                if model == WIDE_AND_DEEP:
                    axes.vlines(steps, low, high, color=colour, linewidth=1.2)
                axes.plot(steps, skill, dashes, color=colour, marker=marker, markersize=4)
        steps_of = next(STEPS[key] for key, title in NAMES.items() if title == name)
        axes.set_xticks(
            range(1, len(steps_of) + 1), [step[:3] if "week" not in step else step[5:] for step in steps_of]
        )
        axes.set_title(f"{name}: skill, %")
        axes.set_xlim(0.8, len(steps_of) + 0.2)
        axes.set_xlabel("known until week, from April" if "week" in steps_of[0] else "known until the end of")
    for height, model, colour in ((0.2, WIDE_AND_DEEP, BLUE), (0.06, WIDE_ALONE, ORANGE)):
        panels[0].text(0.99, height, model, ha="right", color=colour, transform=panels[0].transAxes)
    return figure


def write(data: Path, runs: Path) -> None:
    """The page and its picture."""
    found = skills(data, runs)
    shown = shown_of(found)
    with style.context(STYLE):
        save(draw_skills(shown), PICTURE, shown)
    parts = [wrapped(HEAD.format(trials=TRIALS, members=MEMBERS))]
    for set_name, models in found.items():
        unit = SETS[set_name].unit
        parts += [
            f"\n## {SETS[set_name].title}\n",
            "| known until the end of | " + " | ".join(f"{model}: RMSE, {unit} | skill %" for model in models) + " |",
            "| --- |" + " --- | --- |" * len(models),
        ]
        for steps, step in enumerate(STEPS[set_name], 1):
            cells = [_cells(by_steps.get(steps)) for by_steps in models.values()]
            parts.append(f"| {step} | {' | '.join(cells)} |")
        parts += ["", *(fill(_when(set_name, *of_model), 120) for of_model in models.items())]
    PAGE.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def _when(set_name: str, model: str, by_steps: Mapping[int, tuple[float, Interval]]) -> str:
    """From when on the skill is more than chance."""
    certain = [step for step, (_, skill) in by_steps.items() if skill.low > 0]
    last = max(by_steps)
    since = last + 1
    while since - 1 in certain:
        since -= 1
    if since <= last:
        return f"{model}: better than county effects for certain from {STEPS[set_name][since - 1]} to the season's end."
    if certain:
        steps = ", ".join(STEPS[set_name][step - 1] for step in certain)
        return f"{model}: better than county effects for certain at {steps} and not at the season's end."
    return f"{model}: at no time better than county effects for certain."


def _cells(found: tuple[float, Interval] | None) -> str:
    if found is None:
        return "not run | "
    error, skill = found
    return f"{error:.2f} | {skill.value:+.1f} ({skill.low:+.1f} to {skill.high:+.1f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not done yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/yields"), help="folder of what is done")
    parser.add_argument("--jobs", type=int, default=2, help="models at a time; 0 only writes the page")
    options = parser.parse_args(arguments)
    if "POMONA_DATA" not in os.environ:
        parser.error("set POMONA_DATA to the folder that holds the sets")
    data = Path(os.environ["POMONA_DATA"])
    todo = [
        (set_name, model, steps)
        for model in MODELS
        for set_name in NAMES
        for steps in range(0 if model == WIDE_ALONE else 1, len(STEPS[set_name]) + 1)
        if not _file(options.runs, set_name, model, steps).is_file()
    ]
    if options.jobs:
        with ProcessPoolExecutor(options.jobs) as pool:
            for done in [pool.submit(_run, data, options.runs, *one) for one in todo]:
                done.result()
    write(data, options.runs)
    print(PAGE)


if __name__ == "__main__":
    main()
