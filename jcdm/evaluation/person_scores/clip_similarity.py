"""CLIP-I: how alike two pictures are to a CLIP image encoder."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from jcdm.data.transforms import ClipFit, clip_pixels
from jcdm.evaluation.features import cosine
from jcdm.evaluation.pair_scores import PairBatch
from jcdm.evaluation.person_scores.pictures import to_image
from jcdm.models.encoders import FrozenCLIPVision
from jcdm.models.identity import weights_hash


class ClipSimilarity:
    """Cosine of the projected CLIP image embeddings of the generated and the true picture.

    fit: `pad` shows the encoder the whole picture on a square of the mean colour; `crop` its
    middle square, as CLIP was trained, which cuts head and feet off a standing person.
    """

    names: tuple[str, ...] = ("clip_i",)

    def __init__(self, encoder: FrozenCLIPVision, fit: ClipFit = "pad") -> None:
        self.encoder, self.fit = encoder, fit

    @cached_property
    def identity(self) -> str:
        """Name how pictures are fitted, and the weights."""
        return f"clip_i {self.fit} {weights_hash(self.encoder)}"

    def score(self, batch: PairBatch) -> Mapping[str, np.ndarray]:
        """Score every pair: cosines in [-1,1]."""
        ours = embed_pictures(self.encoder, batch.generated, self.fit)
        true = embed_pictures(self.encoder, batch.truth, self.fit)
        return {"clip_i": cosine(ours, true).numpy()}


def embed_pictures(encoder: FrozenCLIPVision, pictures: np.ndarray, fit: ClipFit = "pad") -> Tensor:
    """Embed pictures (N,H,W,3), nominal range [0,1], rounded to 8 bits: (N,D) on the CPU."""
    pixels = [clip_pixels(to_image(picture), encoder.image_size, fit) for picture in pictures]
    with torch.backends.cudnn.flags(allow_tf32=False):
        return encoder.embed(torch.stack(pixels)).cpu()
