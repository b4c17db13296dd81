"""The same judging, driven by atheris, which keeps what reaches new code: ``python -m tests.hostile atheris``.

Atheris comes with ``pip install '.[fuzz]'``. Messages are changed by :func:`tests.hostile.mutations.mutate`, so that
most stay readable, and libFuzzer chooses which to change further.
"""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cloud_sync"]):
    from tests.hostile.judging import judge
    from tests.hostile.mutations import Hostile, mutate, recorded

_BEGIN = recorded()


def _judge(content: bytes) -> None:
    judge(Hostile.from_bytes(content))


def _mutate(content: bytes, most_bytes: int, seed: int) -> bytes:
    chance = random.Random(seed)
    return mutate(Hostile.from_bytes(content), chance, _BEGIN).as_bytes()[:most_bytes]


def main(folder: Path, seed: int, inputs: int) -> None:
    """Judge so many messages.

    Args:
        folder: where messages that reach new code are kept, and one that does not hold.
        seed: of the random numbers.
        inputs: how many.
    """
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for message in set(_BEGIN):
        content = message.as_bytes()
        if len(content) < 60_000:
            (corpus / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
    options = [f"-runs={inputs}", f"-seed={seed}", "-max_len=60000", "-timeout=60", "-rss_limit_mb=4096"]
    arguments = [sys.argv[0], str(corpus), *options, f"-artifact_prefix={folder}/", "-print_final_stats=1"]
    atheris.Setup(arguments, _judge, custom_mutator=_mutate)
    atheris.Fuzz()
