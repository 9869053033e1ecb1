"""What a stage can do so far, tried on a few unseen people: cosines, or painted pictures."""

from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from jcdm.config import Config
from jcdm.diffusion.schedule import Scheduler, build_prior_scheduler
from jcdm.grid import to_grid
from jcdm.models.apm import AppearancePriorTransformer
from jcdm.models.denoiser import JCDMDenoiser
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.pipelines.noise import KeyedNoise
from jcdm.pipelines.outputs import to_uint8
from jcdm.pipelines.prior import predict_batch
from jcdm.records import Batch
from jcdm.training.packing import join_parts
from jcdm.training.stages.base import encode_appearance

GAP = 4
HEADER = 24
TITLES = ("references", "poses", "painted", "true")


@torch.no_grad()
def prior_cosines(
    prior: AppearancePriorTransformer, clip: FrozenCLIPVision, batch: Batch, *, num_steps: int
) -> dict[str, float]:
    """Cosine between sampled and true embeddings of the target views; 1 = as good as true.

    `cosine_of_references` is what the mean of the references' embeddings reaches: the floor.
    """
    truth, reference = encode_appearance(clip, batch)
    batch = batch.to(truth.device)
    predicted = predict_batch(
        prior,
        build_prior_scheduler(),
        clip,
        batch,
        num_steps=num_steps,
        guidance=1.0,
        noise=KeyedNoise(batch.keys),
    ).embeddings
    weight = batch.visible[..., None].to(reference)
    mean = (reference * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
    targets = batch.present & ~batch.visible
    found = {"cosine": predicted, "cosine_of_references": mean.expand_as(truth)}
    return {
        name: F.cosine_similarity(embeddings, truth, dim=-1)[targets].mean().item()
        for name, embeddings in found.items()
    }


@torch.no_grad()
def painted_people(
    denoiser: JCDMDenoiser,
    batch: Batch,
    *,
    vae: FrozenVAE,
    clip: FrozenCLIPVision,
    prior: AppearancePriorTransformer | None,
    scheduler: Scheduler,
    config: Config,
) -> Tensor:
    """Paint people with `train.picture_steps` steps: (B,3,H,4W+gaps) uint8, a row a person.

    A row shows four grids: given, poses, painted, true.
    """
    pipeline = join_parts(
        config, vae=vae, clip=clip, prior=prior, denoiser=denoiser, scheduler=scheduler
    )
    pipeline.set_progress_bar_config(disable=True)
    painted = pipeline.generate(
        batch,
        num_steps=config.train.picture_steps,
        prior_steps=config.prior.training_steps,
        prior_source="apm" if prior is not None else "oracle",
    ).images
    hidden = ~batch.visible[:, :, None, None, None]
    truth = to_uint8(batch.images)
    given = truth.masked_fill(hidden, 0)
    poses = to_uint8(batch.pose_maps * 2 - 1)
    return _in_a_row([to_grid(v.cpu(), denoiser.grid) for v in (given, poses, painted, truth)])


def _in_a_row(pictures: list[Tensor]) -> Tensor:
    """Put pictures (B,3,H,W) beside each other with white gaps."""
    batch, channels, height, _ = pictures[0].shape
    gap = torch.full((batch, channels, height, GAP), 255, dtype=torch.uint8)
    pieces = [piece for picture in pictures for piece in (picture, gap)]
    return torch.cat(pieces[:-1], dim=-1)


def save_sheet(rows: Tensor, path: Path) -> None:
    """Write rows (B,3,H,W) uint8 of `painted_people` below each other, under titles, as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spaced = F.pad(rows, (0, 0, 0, GAP), value=255)
    people = Image.fromarray(rearrange(spaced, "b c h w -> (b h) w c").contiguous().numpy())
    sheet = Image.new("RGB", (people.width, people.height + HEADER), "white")
    sheet.paste(people, (0, HEADER))
    pen = ImageDraw.Draw(sheet)
    for number, title in enumerate(TITLES):
        left = number * (people.width + GAP) // len(TITLES)
        pen.text((left + GAP, GAP), title, fill="black", font=ImageFont.load_default(HEADER // 2))
    sheet.save(path)
