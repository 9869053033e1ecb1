"""Saving, loading, dtypes and offloading of the image pipeline."""

import json
import subprocess
import sys

import pipeline_factory as factory
import pytest
import torch

from jcdm.diffusion import schedule
from jcdm.errors import CheckpointError
from jcdm.pipelines.multiview import JCDMPipeline

FAST = {"num_steps": 2, "prior_steps": 2}


@pytest.fixture(scope="module")
def pipe() -> JCDMPipeline:
    pipeline = JCDMPipeline(**factory.components())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def paint(pipe, seed=0, who=1, **options):
    """Tensor of one person's targets (N,3,H,W)."""
    people = factory.person(who)
    return pipe(*people, seed=seed, output_type="pt", **(FAST | options)).images


def test_saved_and_loaded_in_a_fresh_process_paints_the_same(pipe, tmp_path):
    folder, result = tmp_path / "pipeline", tmp_path / "images.pt"
    pipe.save_pretrained(folder)
    index = json.loads((folder / "model_index.json").read_text())
    assert index["denoiser"] == ["jcdm.models.denoiser", "JCDMDenoiser"]
    assert (index["height"], index["width"], index["layout"]) == (16, 8, "view")
    program = (
        "import sys, torch; sys.path.insert(0, sys.argv[3]); torch.set_num_threads(1)\n"
        "import pipeline_factory as factory\n"
        "from jcdm.pipelines.multiview import JCDMPipeline\n"
        "pipe = JCDMPipeline.from_pretrained(sys.argv[1])\n"
        "out = pipe(*factory.person(1), seed=0, output_type='pt', num_steps=2, prior_steps=2)\n"
        "torch.save(out.images, sys.argv[2])\n"
    )
    here = factory.__file__.rsplit("/", 1)[0]
    command = [sys.executable, "-c", program, str(folder), str(result), here]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "Expected types" not in finished.stderr
    assert torch.equal(torch.load(result), paint(pipe))


def test_a_swapped_sampler_survives_saving(tmp_path):
    pipe = JCDMPipeline(**factory.components(factory.MOTION))
    pipe.scheduler = schedule.swap_scheduler("euler", pipe.scheduler)
    pipe.save_pretrained(tmp_path)
    loaded = JCDMPipeline.from_pretrained(tmp_path)
    assert type(loaded.scheduler).__name__ == "EulerDiscreteScheduler"
    for one in (pipe, loaded):
        one.set_progress_bar_config(disable=True)
    assert torch.equal(paint(pipe), paint(loaded))


def test_a_folder_without_pipeline_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no model_index\.json"):
        JCDMPipeline.from_pretrained(tmp_path)


def test_offloading_order_names_every_model_and_hooks_wake_components(pipe):
    names = pipe.model_cpu_offload_seq.split("->")
    models = [n for n, c in pipe.components.items() if isinstance(c, torch.nn.Module)]
    assert sorted(names) == sorted(models)

    class Hook:
        def __init__(self):
            self.calls = 0

        def pre_forward(self, module):
            self.calls += 1

    pipe.denoiser._hf_hook = hook = Hook()
    try:
        paint(pipe)
    finally:
        del pipe.denoiser._hf_hook
    assert hook.calls > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_offloading_paints_the_same():
    pipe = JCDMPipeline(**factory.components())
    pipe.set_progress_bar_config(disable=True)
    on_cpu = paint(pipe)
    pipe.enable_model_cpu_offload()
    torch.testing.assert_close(paint(pipe), on_cpu, atol=2e-2, rtol=0)


def test_half_precision_paints_nearly_the_same(pipe):
    half = JCDMPipeline(**factory.components()).to(torch.bfloat16)
    half.set_progress_bar_config(disable=True)
    assert half.denoiser.dtype == torch.bfloat16
    torch.testing.assert_close(paint(half), paint(pipe), atol=0.15, rtol=0)
