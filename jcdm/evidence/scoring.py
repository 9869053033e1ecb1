"""Paint the benchmark's tasks by a method and score what it painted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange

from jcdm.evaluation.evaluate import clip_view, to_pixels
from jcdm.evaluation.features import cosine, hidden_states, perceptual_distance
from jcdm.evidence.batches import make_batches
from jcdm.evidence.people import DrawnPeople
from jcdm.evidence.reader import PersonReader
from jcdm.evidence.tally import Tally
from jcdm.evidence.tasks import GridPlan, Task, plan_grids
from jcdm.evidence.view_scores import (
    MIN_PRINT_PIXELS,
    VIEW_SCORES,
    PaintedView,
    TrueView,
    disagreement,
)
from jcdm.pipelines import JCDMPipeline
from jcdm.records import Batch

PERCEPTUAL, EMBEDDING, DISAGREEMENT = "perceptual (tiny)", "embedding cosine", "disagreement"
BATCH_SIZE = 8

_Together = dict[int, tuple[list[PaintedView], list[TrueView]]]
"""All that was painted for a person in a task, and the truth of it."""

Painter = Callable[[Batch, Sequence[GridPlan]], np.ndarray]
"""Paints all cells of a batch of grids: (B,V,H,W,3) uint8; reference cells are not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """All that scores need: the people, the reader, and a pipeline's format and image encoder."""

    people: DrawnPeople
    reader: PersonReader
    pipeline: JCDMPipeline

    def score(self, task: Task, paint: Painter, *, keep: int = 0) -> tuple[Tally, np.ndarray]:
        """Paint and score a task; also the pictures of the first `keep` grids, (N,V,H,W,3)."""
        tally, together = Tally(), _Together()
        kept: list[np.ndarray] = []
        for plans, batch in self._batches(task):
            pictures = paint(batch, plans)
            kept += list(pictures[: max(0, keep - len(kept))])
            self._add(tally, together, plans, pictures)
        for person, (painted, truths) in together.items():
            tally.add(person, {DISAGREEMENT: disagreement(painted, truths)})
        return tally, np.stack(kept) if kept else np.empty(0, np.uint8)

    def _batches(self, task: Task) -> Iterator[tuple[Sequence[GridPlan], Batch]]:
        spec = self.pipeline.view_format(None, None)
        grids = plan_grids(task, self.people)
        return make_batches(self.people, grids, spec, batch_size=BATCH_SIZE)

    def _add(
        self, tally: Tally, together: _Together, plans: Sequence[GridPlan], pictures: np.ndarray
    ) -> None:
        cells = [(g, c) for g, plan in enumerate(plans) for c in np.flatnonzero(plan.scored)]
        chosen = np.stack([pictures[g, c] for g, c in cells])
        painted = dict(zip(cells, self.read(chosen), strict=True))
        truths = {(g, c): true_view(self.people, plans[g], int(c)) for g, c in cells}
        features = self._features(chosen, [truths[cell] for cell in cells])
        for number, (g, c) in enumerate(cells):
            scores = {n: f(painted[g, c], truths[g, c]) for n, f in VIEW_SCORES.items()}
            scores |= {name: float(values[number]) for name, values in features.items()}
            tally.add(plans[g].person, scores)
            views, known = together.setdefault(plans[g].person, ([], []))
            views.append(painted[g, c])
            known.append(truths[g, c])

    def read(self, pictures: np.ndarray) -> list[PaintedView]:
        """Read pictures (N,H,W,3) uint8 by the frozen reader."""
        tensors = torch.from_numpy(pictures / np.float32(127.5) - 1)
        outlines, joints = self.reader.read(rearrange(tensors, "n h w c -> n c h w"))
        parts = zip(pictures / 255.0, outlines.numpy(), joints.numpy(), strict=True)
        return [PaintedView(picture=p, silhouette=s, joints=j) for p, s, j in parts]

    @torch.no_grad()
    def _features(
        self, pictures: np.ndarray, truths: Sequence[TrueView]
    ) -> dict[str, torch.Tensor]:
        """Distance in the encoder's feature maps, and cosine of embeddings, view by view."""
        true = [(truth.picture * 255).round().astype(np.uint8) for truth in truths]
        clip = self.pipeline.frozen_clip()
        ours, theirs = (clip_view(list(p), self.pipeline) for p in (pictures, true))
        distance = perceptual_distance(hidden_states(clip, ours), hidden_states(clip, theirs))
        return {PERCEPTUAL: distance, EMBEDDING: cosine(clip.embed(ours), clip.embed(theirs))}


def true_view(people: DrawnPeople, plan: GridPlan, cell: int) -> TrueView:
    """Collect what is known of the view in a cell."""
    person, view = plan.person, plan.views[cell]
    given = [v for v, shown in zip(plan.views, plan.visible, strict=True) if shown]
    prints = people.prints[person]
    return TrueView(
        picture=people.images[person, view] / 255.0,
        regions=people.regions[person, view],
        print_mask=prints[view],
        shown=any(_shows_print(people, person, view, r) for r in given),
        keypoints=people.keypoints[person, view],
        seen=people.seen[person, view],
    )


def _shows_print(people: DrawnPeople, person: int, view: int, reference: int) -> bool:
    """Whether a reference shows the chest print of a front target, or the back print of a back."""
    ahead = [abs(people.yaws[person, v]) < 90 for v in (view, reference)]
    return ahead[0] == ahead[1] and people.prints[person, reference].sum() >= MIN_PRINT_PIXELS


def paint_by(pipeline: JCDMPipeline, *, seed: int = 0, **settings: Any) -> Painter:
    """Make a painter of a pipeline and its sampling settings."""

    def paint(batch: Batch, _plans: Sequence[GridPlan]) -> np.ndarray:
        return to_pixels(pipeline.generate(batch, seed=seed, **settings).images)

    return paint
