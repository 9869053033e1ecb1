"""Sampling as diffusers pipelines: prior, views of one grid, sequences."""

from jcdm.pipelines.multiview import JCDMPipeline
from jcdm.pipelines.prior import JCDMPriorPipeline
from jcdm.pipelines.sequence import JCDMSequencePipeline

__all__ = ["JCDMPipeline", "JCDMPriorPipeline", "JCDMSequencePipeline"]
