"""Memory does not grow with the region."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.orchards.drawn_region import draw_region
from tests.processes import run_python

_CODE = """
import sys
from pathlib import Path
from models.orchards.cog import write_map
from models.orchards.classifiers import fit
from models.maps.blocks import block_of
from models.orchards.mapping import training_points
from models.orchards.points import read_points
from models.maps.rasters import BaseMask, open_features
from models.maps.tiles import TileStore, windows
from models.orchards.tiles import TileJob, tile_side
features, points, cover, out = map(Path, sys.argv[1:])
rasters = open_features([features])
trained_on = training_points(rasters, read_points(points))
blocks = block_of(trained_on.lon, trained_on.lat, 1)
classifier = fit("cart", trained_on.features, trained_on.orchard, blocks)
job, store = TileJob(rasters, classifier, BaseMask(str(cover), (40,))), TileStore(out)
every = list(windows(rasters.grid, tile_side(len(rasters.names), 16)))
for window in every:
    store.write(window, job.make(window))
write_map(out / "map.tif", rasters.grid, store, every, {})
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""


@pytest.mark.slow
def test_seven_times_the_region_takes_hardly_more_memory(tmp_path: Path) -> None:
    peaks_mb = []
    for side in (600, 1600):
        folder = tmp_path / str(side)
        (folder / "tiles").mkdir(parents=True)
        region = draw_region(folder, side)
        done = run_python(_CODE, region.features, region.points, region.cover, folder / "tiles")
        assert done.returncode == 0, done.stderr
        peaks_mb.append(int(done.stdout))
    assert peaks_mb[1] - peaks_mb[0] < 60, peaks_mb
