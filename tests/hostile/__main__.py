"""The long forms of what tests/cloud_sync/test_hostile.py and tests/system/test_hostile_broker.py do shortly.

python -m tests.hostile screening --inputs 1000000 --seed 1
python -m tests.hostile atheris --inputs 1000000 --seed 1 --folder FOLDER   (pip install '.[fuzz]')
python -m tests.hostile broker --inputs 20000 --seed 1
python -m tests.hostile one SEED NUMBER                                     one message of screening, again
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, inputs in (("screening", 1_000_000), ("atheris", 1_000_000), ("broker", 20_000)):
        command = commands.add_parser(name)
        command.add_argument("--inputs", type=int, default=inputs)
        command.add_argument("--seed", type=int, default=1)
        if name == "atheris":
            command.add_argument("--folder", type=Path, required=True)
    one = commands.add_parser("one")
    one.add_argument("seed", type=int)
    one.add_argument("number", type=int)
    given = parser.parse_args()
    if given.command == "atheris":
        _by_coverage(given.folder, given.seed, given.inputs)
    elif given.command == "broker":
        _through_a_broker(given.seed, given.inputs)
    else:
        _by_chance(given)


def _by_coverage(folder: Path, seed: int, inputs: int) -> None:
    # first of all imports of ours: what is imported already reports no coverage
    from tests.hostile import fuzzing  # noqa: PLC0415

    fuzzing.main(folder, seed, inputs)


def _by_chance(given: argparse.Namespace) -> None:
    from tests.hostile import judging  # noqa: PLC0415  (see above)
    from tests.hostile.mutations import recorded  # noqa: PLC0415

    if given.command == "screening":
        print(f"seed {given.seed}: {dict(judging.run(given.seed, given.inputs))}")
        return
    message = judging.hostile_message(given.seed, given.number, recorded())
    print(message)
    print(judging.judge(message))


def _through_a_broker(seed: int, inputs: int) -> None:
    from tests.hostile.broker import campaign  # noqa: PLC0415  (the others need no broker)
    from tests.system.conftest import Site  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        try:
            site.start_broker()
            server = site.start_server()
            print(campaign(site, seed, inputs))
            code, said = site.stop(server)
            assert code == 0, said
        finally:
            site.close()


if __name__ == "__main__":
    main()
