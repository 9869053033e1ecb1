"""CLIP-I is the cosine of transformers' embeddings of the padded pictures."""

import numpy as np
import pytest
import torch
from person_pairs import batch, clip_encoder, noisy, ranking
from PIL import Image
from torch.nn.functional import cosine_similarity
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from jcdm.evaluation.person_scores.clip_similarity import ClipSimilarity

MEAN_COLOUR = (123, 117, 104)


def reference(pictures: np.ndarray, fit: str) -> torch.Tensor:
    """Embeddings by transformers' own preprocessing of 8-bit pictures."""
    model = clip_encoder().model
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)
    images = []
    for pixels in (pictures * 255).round().astype(np.uint8):
        image = Image.fromarray(pixels)
        if fit == "pad":  # 128x96 fits into a square of 32 as 32x24
            square = Image.new("RGB", (32, 32), MEAN_COLOUR)
            square.paste(image.resize((24, 32), Image.Resampling.BICUBIC), (4, 0))
            image = square
        images.append(image)
    with torch.no_grad():
        return model(**processor(images, return_tensors="pt")).image_embeds


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_clip_i_equals_transformers(fit) -> None:
    pairs = ranking()
    expected = cosine_similarity(reference(pairs.generated, fit), reference(pairs.truth, fit))
    found = ClipSimilarity(clip_encoder(), fit).score(pairs)["clip_i"]
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-4)
    assert found.dtype == np.float64
    assert found[0] == pytest.approx(1, abs=1e-9) and found[0] > found[1] > found[2]


def test_several_are_as_one_by_one_and_need_no_pose() -> None:
    pairs = ranking()
    scorer = ClipSimilarity(clip_encoder())
    triples = zip(pairs.generated, pairs.truth, np.zeros_like(pairs.poses), strict=True)
    alone = [scorer.score(batch(triple))["clip_i"][0] for triple in triples]
    np.testing.assert_allclose(scorer.score(pairs)["clip_i"], alone, rtol=1e-6)


def test_a_value_outside_the_range_is_cut() -> None:
    truth = ranking().truth[:1]
    wild = batch((truth[0] * 3 - 1, noisy(truth[0], 0.1), np.zeros((18, 3))))
    cut = batch((np.clip(truth[0] * 3 - 1, 0, 1), noisy(truth[0], 0.1), np.zeros((18, 3))))
    scorer = ClipSimilarity(clip_encoder())
    assert scorer.score(wild)["clip_i"] == scorer.score(cut)["clip_i"]


def test_the_identity_has_weights_and_fit() -> None:
    first = ClipSimilarity(clip_encoder()).identity
    assert first == ClipSimilarity(clip_encoder()).identity
    assert first != ClipSimilarity(clip_encoder(), "crop").identity
    other = clip_encoder()
    next(other.model.parameters()).view(-1)[0] += 1e-3
    assert first != ClipSimilarity(other).identity
