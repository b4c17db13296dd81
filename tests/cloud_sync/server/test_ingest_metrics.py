"""What ingest counts of itself, in one process and in several."""

from __future__ import annotations

import logging
import os
import queue
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cloud_sync.server.database import Database
from cloud_sync.server.ingest_metrics import IngestMetrics, read_processes
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import envelope, received

_ROOT = Path(__file__).parents[3]
_PROCESS = """
import sys, time
from pathlib import Path
from cloud_sync.server.ingest_metrics import IngestMetrics
metrics = IngestMetrics(Path(sys.argv[1]))
metrics.connected.set(1)
metrics.save(0, at_once=True)
print("saved", flush=True)
time.sleep(60)
"""


def figures(told: str) -> dict[str, float]:
    """Samples by name and labels, as in ``name{label=value}``."""
    return {
        sample.name + "".join(f"{{{name}={value}}}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
    }


def counted(metrics: IngestMetrics) -> dict[str, float]:
    return figures(generate_latest(metrics.registry).decode())


def test_a_batch_is_counted_by_type_answer_size_and_time(database: Database) -> None:
    metrics = IngestMetrics()
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None, metrics=metrics)
    first = envelope("tree", revision=2)
    batch = [first, envelope("tree"), envelope("count"), envelope(version=9), envelope("tree", record=first["record"])]
    unanswerable = received(b"no json", topic="pomona/v1/jetson-1/up/tree")
    worker.process([Delivery(received(message), lambda: None) for message in batch] + [Delivery(unanswerable, print)])
    found = counted(metrics)
    assert found["pomona_ingest_records_total{type=tree}"] == 2
    assert found["pomona_ingest_records_total{type=count}"] == 1
    results = {name: value for name, value in found.items() if name.startswith("pomona_ingest_answers_total")}
    assert results == {
        "pomona_ingest_answers_total{result=stored}": 3,
        "pomona_ingest_answers_total{result=rejected}": 1,
        "pomona_ingest_answers_total{result=outdated}": 1,
    }
    assert found["pomona_ingest_dead_letters_total"] == 2
    assert (found["pomona_ingest_batch_messages_count"], found["pomona_ingest_batch_messages_sum"]) == (1, 6)
    assert found["pomona_ingest_batch_messages_bucket{le=10.0}"] == 1
    assert found["pomona_ingest_batch_messages_bucket{le=5.0}"] == 0
    assert 0 < found["pomona_ingest_commit_seconds_sum"] < 60
    worker.process([Delivery(received(first), lambda: None)])
    assert counted(metrics)["pomona_ingest_records_total{type=tree}"] == 3, "those that came again count too"


def test_the_figures_of_a_process_are_there_for_others_while_it_lives(tmp_path: Path) -> None:
    metrics = IngestMetrics(tmp_path)
    metrics.save(7, at_once=True)
    ((number, told),) = read_processes(tmp_path)
    assert (number, figures(told)["pomona_ingest_queue_messages"]) == ("1", 7)
    metrics.save(9)
    ((_, told),) = read_processes(tmp_path)
    assert figures(told)["pomona_ingest_queue_messages"] == 7, "written every few seconds"
    metrics.close()
    assert list(read_processes(tmp_path)) == []


def test_several_processes_have_numbers_and_the_next_one_takes_that_of_a_killed_one(tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == b"saved\n"
        told = dict(read_processes(tmp_path))
        assert sorted(told) == ["1", "2"]
        assert all(figures(text)["pomona_ingest_connected"] == 1 for text in told.values())
        (lowest,) = [process for process in running if f"{process.pid}" in _holder(tmp_path / "ingest-1.lock")]
        lowest.send_signal(signal.SIGKILL)
        lowest.wait()
        assert [number for number, _ in read_processes(tmp_path)] == ["2"]
        successor = IngestMetrics(tmp_path)
        assert [number for number, _ in read_processes(tmp_path)] == ["2"], "what the killed one counted is gone"
        successor.save(0, at_once=True)
        assert sorted(number for number, _ in read_processes(tmp_path)) == ["1", "2"]
        successor.close()
    finally:
        for process in running:
            process.kill()
            process.communicate()


def _holder(lock: Path) -> str:
    """The kernel's lines about a lock."""
    inode = f":{lock.stat().st_ino} "
    return "\n".join(line for line in Path("/proc/locks").read_text().splitlines() if inode in line)


def test_a_disk_that_takes_nothing_is_said_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = IngestMetrics(tmp_path)
    (tmp_path / "ingest-1.new").symlink_to("/dev/full")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            metrics.count_batch([], [], 0.1)
            metrics.save(0, at_once=True)
    assert [record.message for record in caplog.records] == [
        "metrics of ingest cannot be written: [Errno 28] No space left on device"
    ]
    metrics.close()


def test_a_folder_that_cannot_be_made_leaves_the_figures_to_the_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        metrics = IngestMetrics(tmp_path / "file" / "metrics")
    metrics.count_batch([], [], 0.1)
    metrics.save(0, at_once=True)
    metrics.close()
    assert len(caplog.records) == 1
