import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from jcdm.evaluation import features
from jcdm.models.encoders import FrozenCLIPVision


@pytest.fixture(scope="module")
def encoder() -> FrozenCLIPVision:
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
        projection_dim=8,
    )
    return FrozenCLIPVision(CLIPVisionModelWithProjection(config))


def test_perceptual_distance_equals_a_loop(encoder: FrozenCLIPVision) -> None:
    pixels = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    ours, truth = (features.hidden_states(encoder, p) for p in (pixels[:2], pixels[2:]))
    assert len(ours) == 3
    assert ours[0].shape == (2, 4, 16)
    distance = features.perceptual_distance(ours, truth)
    for n in range(2):
        terms = []
        for a, b in zip(ours, truth, strict=True):
            for p in range(4):
                cosine = torch.nn.functional.cosine_similarity(a[n, p], b[n, p], dim=0)
                terms.append(2 - 2 * cosine.item())
        assert distance[n].item() == pytest.approx(sum(terms) / len(terms), rel=1e-4)
    assert features.perceptual_distance(ours, ours).abs().max().item() == 0


def test_the_distance_is_named_after_the_encoders_size(encoder: FrozenCLIPVision) -> None:
    assert features.perceptual_score(encoder).name == "perceptual (tiny)"


def test_agreement_gaps_compare_pairs_of_target_views() -> None:
    ours = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [5.0, 5.0]]])
    truth = torch.tensor([[[1.0, 0.0], [0.0, 3.0], [0.0, 1.0], [5.0, 5.0]]])
    targets = torch.tensor([[True, True, True, False]])
    assert features.agreement_gaps(ours, truth, targets) == pytest.approx([1.0, 0.0, 1.0])
    assert features.agreement_gaps(truth, truth, targets) == pytest.approx([0.0, 0.0, 0.0])
    assert features.agreement_gaps(ours, truth, torch.tensor([[True] + [False] * 3])) == []
    moved = ours.clone()
    moved[0, 3] = torch.tensor([-4.0, 1.0])
    assert features.agreement_gaps(moved, truth, targets) == pytest.approx([1.0, 0.0, 1.0])


def test_cosine_ignores_length() -> None:
    ours, truth = torch.tensor([3.0, 0.0]), torch.tensor([1.0, 1.0])
    assert features.cosine(ours, truth).item() == pytest.approx(0.5**0.5)
