"""``pomona server release``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloud_sync.server.releases.releasing import record_decision
from tests.cloud_sync.helpers import make_server
from tests.conftest import Pomona
from tests.disc_bundle import make_disc_bundle
from tests.releases import REASON, judged


def test_a_release_from_its_keys_to_its_withdrawal(
    run_pomona: Pomona, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server(tmp_path / "server")
    folder = ("--folder", server.path)
    keys = ("--keys", tmp_path / "stick")
    bundle = make_disc_bundle(tmp_path / "new", "1.1.0")
    assert "begin with `pomona server release init`" in run_pomona("server", "release", "list", *folder).err
    monkeypatch.setenv("POMONA_RELEASE_PASSPHRASE", "short")
    assert run_pomona("server", "release", "init", "--encrypt", *keys, *folder).exit_code == 2
    monkeypatch.setenv("POMONA_RELEASE_PASSPHRASE", "red delicious")
    made = run_pomona("server", "release", "init", "--encrypt", *keys, *folder)
    assert made.exit_code == 0, made.err
    assert "Root: " in made.out
    refused = run_pomona("server", "release", "add", bundle.folder, *keys, *folder)
    assert (refused.exit_code, "needs the gate's decision" in refused.err) == (2, True)
    worse = record_decision(server, judged(bundle.identity, 1.5))
    refused = run_pomona("server", "release", "add", bundle.folder, "--decision", worse, *keys, *folder)
    assert (refused.exit_code, "the gate did not let discs-1.1.0 pass" in refused.err) == (2, True)
    better = record_decision(server, judged(bundle.identity))
    added = run_pomona("server", "release", "add", bundle.folder, "--decision", better, *keys, *folder)
    assert added.out.startswith("discs-1.1.0 is released")
    (listed,) = json.loads(run_pomona("server", "release", "list", "--json", *folder).out)
    assert (listed["name"], listed["decision"]["released"]) == ("discs-1.1.0", True)
    assert "better: RMSE" in " ".join(run_pomona("server", "release", "list", *folder).out.split())
    rotated = run_pomona("server", "release", "keys", "--rotate", "targets", *keys, *folder)
    assert "targets has a new key" in rotated.out
    assert "timestamp: until" in run_pomona("server", "release", "renew", *folder).out
    assert run_pomona("server", "release", "renew", "--offline", *keys, *folder).exit_code == 0
    gone = run_pomona("server", "release", "withdraw", "discs-1.1.0", *keys, *folder)
    assert gone.out == "discs-1.1.0 is released no longer.\n"
    again = run_pomona("server", "release", "add", bundle.folder, "--ungated", REASON, *keys, *folder)
    assert again.exit_code == 0
