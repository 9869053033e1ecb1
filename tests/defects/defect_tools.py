"""What several files of this folder need: quiet pipelines, and an ear at a module's door."""

from typing import Any

import pipeline_factory as factory
from torch import nn

from jcdm.pipelines import JCDMPipeline, JCDMPriorPipeline, JCDMSequencePipeline

FAST = {"num_steps": 2, "prior_steps": 2}


def listen(module: nn.Module) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Note the arguments, positional and named, of every call of a module from now on."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    module.register_forward_pre_hook(
        lambda _, args, options: calls.append((args, options)), with_kwargs=True
    )
    return calls


def painter(kind: type = JCDMPipeline, **options: Any) -> Any:
    """A tiny painting pipeline without a progress bar."""
    pipeline = kind(**factory.components(), **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def prior_pipeline() -> JCDMPriorPipeline:
    """A tiny pipeline of the prior alone."""
    parts = factory.components()
    names = ("image_encoder", "prior", "prior_scheduler", "height", "width")
    return JCDMPriorPipeline(**{name: parts[name] for name in names})


def paint(pipeline: Any, people: Any = None, **options: Any) -> Any:
    """Pictures (N,3,H,W) of one person's poses, as an image or a sequence pipeline paints them."""
    people = factory.person(1) if people is None else people
    out = pipeline(*people, **({"seed": 0, "output_type": "pt"} | FAST | options))
    return out.frames if isinstance(pipeline, JCDMSequencePipeline) else out.images
