"""A conversion holds no more than its largest file and one output file in memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jcdm.compat.official_keys_prior import prior_state_to_official
from jcdm.models.apm import AppearancePriorTransformer
from tests.compat.official_world import (
    FORMATS,
    build_models,
    prior_config,
    write_json,
    write_official,
)
from tests.pipelines.pipeline_factory import APPEARANCE

SHARD = 16 * 2**20
MEASURE = """
import json, resource, sys
from pathlib import Path
import jcdm.compat.convert_official as convert
from jcdm.compat import pieces

def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

paths = {name: Path(path) for name, path in json.loads(sys.argv[1]).items()}
pieces.LARGEST_FILE = int(sys.argv[2])
before = peak()
convert.convert_official(convert.OfficialFiles(**paths), Path(sys.argv[3]))
print(peak() - before)
"""


@pytest.mark.parametrize("kind", ["deepspeed", "old", "safetensors"])
def test_the_peak_stays_below_the_largest_file_and_one_shard(tmp_path: Path, kind: str) -> None:
    files = write_official(tmp_path / "published", build_models())
    prior = AppearancePriorTransformer(
        embed_dim=APPEARANCE,
        num_layers=4,
        num_heads=8,
        head_dim=64,
        max_views=5,
        visibility_embedding="clip_constant",
    )
    save, suffix = FORMATS[kind]
    apm = tmp_path / f"apm{suffix}"
    save(prior_state_to_official(prior.state_dict()), apm)
    write_json(files.prior_config / "config.json", prior_config(prior))
    assert apm.stat().st_size > 5 * SHARD
    paths = {name: str(getattr(files, name)) for name in files.__slots__ if name != "motion"}
    given = json.dumps(paths | {"apm": str(apm)})
    words = [sys.executable, "-c", MEASURE, given, str(SHARD), str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=240)
    grown = int(done.stdout.split()[-1])
    assert grown < 1.3 * apm.stat().st_size + SHARD
    assert len(list((tmp_path / "out" / "prior").glob("*.safetensors"))) > 4
