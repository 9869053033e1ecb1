"""The reader's network and how it reads places."""

from pathlib import Path

import torch

from jcdm.evidence.reader import PersonReader, find_peaks, load_reader


def test_shapes_and_round_trip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reader = PersonReader(channels=(8, 8, 16, 16), groups=4).eval()
    pictures = torch.rand(2, 3, 64, 48) * 2 - 1
    outlines, joints = reader.read(pictures)
    assert outlines.shape == (2, 64, 48) and outlines.dtype == torch.bool
    assert joints.shape == (2, 18, 2) and joints.min() >= 0 and joints.max() <= 1
    reader.save_pretrained(tmp_path)
    again = load_reader(tmp_path)
    assert torch.equal(again.read(pictures)[1], joints)


def test_a_peak_is_read_to_a_fraction_of_a_pixel() -> None:
    logits = torch.full((1, 2, 10, 20), -30.0)
    logits[0, 0, 4, 7] = 5
    logits[0, 1, 4, 7] = logits[0, 1, 4, 8] = 5
    logits[0, 1, 0, 19] = 4.9  # far away: no part of the peak
    peaks = find_peaks(logits)[0]
    torch.testing.assert_close(peaks[0], torch.tensor([7.5 / 20, 4.5 / 10]))
    torch.testing.assert_close(peaks[1], torch.tensor([8.0 / 20, 4.5 / 10]))


def test_it_learns_to_find_a_square() -> None:
    torch.manual_seed(0)
    reader = PersonReader(channels=(8, 16, 16, 16), groups=4)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=1e-2)
    for _ in range(40):
        pictures, person = squares()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(reader(pictures)[0], person)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    pictures, person = squares()
    outlines, _ = reader.eval().read(pictures)
    overlap = (outlines & (person > 0)).sum() / (outlines | (person > 0)).sum()
    assert overlap > 0.8


def squares() -> tuple[torch.Tensor, torch.Tensor]:
    person = torch.zeros(8, 32, 24)
    for row, (top, left) in zip(person, torch.randint(0, 12, (8, 2)).tolist(), strict=True):
        row[top : top + 12, left : left + 10] = 1
    noise = 0.3 * torch.randn(8, 3, 32, 24)
    return noise + person[:, None] * 2 - 1, person
