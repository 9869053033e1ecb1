"""References and a sequence of poses in, frames out, whatever the sequence's length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor

from jcdm.data.keypoints import flatten_pose
from jcdm.errors import ConfigError
from jcdm.grid import from_grid, to_grid
from jcdm.pipelines.base import NUM_DECODED_AT_ONCE, ImagePipeline, StepCallback
from jcdm.pipelines.components import wake
from jcdm.pipelines.guided import GuidedDenoiser
from jcdm.pipelines.inputs import (
    View,
    assemble_batch,
    count_free_cells,
    prepare_references,
    prepare_targets,
)
from jcdm.pipelines.noise import NoiseSource, noise_source
from jcdm.pipelines.outputs import check_output_type, to_output
from jcdm.pipelines.prior import embed_references, embed_visibility, predict_appearance
from jcdm.pipelines.sampling import SamplingOptions
from jcdm.pipelines.windows import WindowNoise, WindowTable, window_starts
from jcdm.records import Batch

NUM_WINDOWS_AT_ONCE = 4


@dataclass
class SequenceOutput(BaseOutput):
    """Frames in order: PIL images, or an array (N,H,W,3) or tensor (N,3,H,W) in [0,1]."""

    frames: Any


class JCDMSequencePipeline(ImagePipeline):
    """Paints a person along a sequence of poses. Loads from the folder of a `JCDMPipeline`.

    The references stand in their cells in every window, the frames pass through the others. All
    windows share one set of latents; where they overlap, their predictions are averaged at every
    step (see `windows`), so that the person stays the same along the sequence.
    """

    @torch.no_grad()
    def __call__(
        self,
        references: Sequence[Image.Image],
        reference_keypoints: Sequence[Any],
        target_poses: Sequence[Any],
        *,
        height: int | None = None,
        width: int | None = None,
        overlap: int | None = None,
        windows_at_once: int | None = None,
        preset: str | None = None,
        generator: torch.Generator | None = None,
        seed: int | None = None,
        output_type: str = "pil",
        callback_on_step_end: StepCallback | None = None,
        **settings: Any,
    ) -> SequenceOutput:
        """Paint one frame a target pose; references and poses as in `JCDMPipeline`, one person.

        overlap: frames that neighbouring windows share, below the number of free cells; by default
        1 where there is room. windows_at_once: windows the U-Net sees in one call, by default those
        of `people_at_once`, else 4; with motion across frames that number is the motion module's
        instead. preset, settings: as in `JCDMPipeline`.
        """
        check_output_type(output_type)
        options = self.choose_options(preset, settings)
        if options.prior_source != "apm":
            raise ConfigError(
                f"prior_source is {options.prior_source!r}; expected 'apm', the only source of "
                "appearance that a sequence has."
            )
        self._check_scheduler()
        spec = self.view_format(height, width)
        given = prepare_references(references, reference_keypoints, spec)
        frames = prepare_targets(target_poses, spec)
        window = count_free_cells(len(given), self.denoiser.grid)
        overlap = min(1, window - 1) if overlap is None else overlap
        starts = window_starts(len(frames), window, overlap)
        table = WindowTable(len(given), starts, window)
        noise = WindowNoise(noise_source(generator, seed, 1), table)
        with self.working(options):
            conditions = self._condition(given, frames, table, noise, options)
            parts = self._split(conditions, options, windows_at_once)
            latents = self._paint(parts, table, noise, options, callback=callback_on_step_end)
            states = self._decode_states(latents, table)[len(given) :][: len(frames)]
        pictures = self.without_bars(states)
        self.maybe_free_model_hooks()
        return SequenceOutput(frames=to_output(pictures, output_type))

    def _condition(
        self,
        given: list[View],
        frames: list[View],
        table: WindowTable,
        noise: NoiseSource,
        options: SamplingOptions,
    ) -> dict[str, Tensor]:
        """Compute the denoiser's conditions for all windows; references are encoded once."""
        device, grid = self._execution_device, self.denoiser.grid
        first = assemble_batch([(given, frames[: grid.num_views - len(given)])], grid).to(device)
        windows = self._window_views(given + frames, first, table)
        clip = self.frozen_clip()
        patches = self.told_patches(first)
        visible = windows["visible"]
        prior = predict_appearance(
            self.prior,
            self.prior_scheduler,
            pose=flatten_pose(windows["keypoints"], windows["valid"]),
            reference_appearance=embed_references(clip, first).expand(len(visible), -1, -1),
            visible=visible,
            present=windows["present"],
            visibility_embeds=embed_visibility(self.prior, clip, visible),
            num_steps=options.prior_steps,
            guidance=options.prior_guidance,
            noise=noise,
        )
        latents = self.reference_latents(first)
        return {
            "embeddings": table.spread(table.merge(prior.embeddings)),
            "visible": visible,
            "present": windows["present"],
            "pose_maps": windows["pose_map"],
            "reference_latents": latents.expand(len(visible), -1, -1, -1, -1),
            **{name: value.expand(len(visible), -1, -1, -1) for name, value in patches.items()},
        }

    def _window_views(
        self, views: list[View], first: Batch, table: WindowTable
    ) -> dict[str, Tensor]:
        """Lay poses into the windows' cells: (W,V,...); cells past the last frame are absent."""
        num_missing = table.num_states - len(views)
        fields = {}
        for name in ("pose_map", "keypoints", "valid"):
            stacked = torch.stack([getattr(view, name) for view in views])
            rest = stacked.new_zeros(num_missing, *stacked.shape[1:])
            fields[name] = table.spread(torch.cat([stacked, rest])).to(first.images.device)
        fields["present"] = table.spread(torch.arange(table.num_states) < len(views))
        fields["present"] = fields["present"].to(first.images.device)
        fields["visible"] = first.visible.expand_as(fields["present"])
        return fields

    def _split(
        self, conditions: dict[str, Tensor], options: SamplingOptions, windows_at_once: int | None
    ) -> list[tuple[range, GuidedDenoiser]]:
        """Share the windows out to calls of the U-Net, which also mixes frames of one call."""
        denoiser = wake(self.denoiser)
        num_windows, overlap = len(conditions["visible"]), 0
        windows_at_once = windows_at_once or options.people_at_once or NUM_WINDOWS_AT_ONCE
        if denoiser.motion is not None and denoiser.motion.axis == "frames":
            windows_at_once = denoiser.config.motion_config["num_frames"]
            overlap = min(1, windows_at_once - 1)
        parts = []
        for start in window_starts(num_windows, windows_at_once, overlap):
            rows = range(start, min(start + windows_at_once, num_windows))
            some = {name: value[rows.start : rows.stop] for name, value in conditions.items()}
            guided = GuidedDenoiser(
                denoiser,
                some,
                options,
                num_timesteps=self.num_timesteps,
                num_frames=len(rows),
            )
            parts.append((rows, guided))
        return parts

    def _paint(
        self,
        parts: list[tuple[range, GuidedDenoiser]],
        table: WindowTable,
        noise: WindowNoise,
        options: SamplingOptions,
        *,
        callback: StepCallback | None,
    ) -> Tensor:
        """Sample the latents of all states (N,C,h,w), predictions averaged over the windows."""
        grid = self.denoiser.grid

        def predict(states: Tensor, timestep: Tensor) -> Tensor:
            views = table.spread(states)
            total, count = table.new_totals(views)
            for rows, guided in parts:
                some = to_grid(views[rows.start : rows.stop], grid)
                table.add(total, count, from_grid(guided(some, timestep), grid), rows)
            return table.mean(total, count)

        reference = parts[0][1].conditional.reference
        height, width = reference.shape[-2] // grid.rows, reference.shape[-1] // grid.cols
        shape = (table.num_states, reference.shape[1], height, width)
        start = noise.source.normal("latents", shape)[0].to(reference.device)
        generators = noise.generators()
        one = generators[0] if isinstance(generators, list) else generators
        return self.denoise(predict, start, options, generators=one, callback=callback)

    def _decode_states(self, latents: Tensor, table: WindowTable) -> Tensor:
        """Decode states (N,C,h,w) to pictures (N,3,H,W) in [-1,1]."""
        vae, grid = self.frozen_vae(), self.denoiser.grid
        if self.config["layout"] == "grid":
            windows = to_grid(table.spread(latents), grid).split(NUM_DECODED_AT_ONCE)
            return table.merge(from_grid(torch.cat([vae.decode(some) for some in windows]), grid))
        return torch.cat([vae.decode(some) for some in latents.split(NUM_DECODED_AT_ONCE)])
