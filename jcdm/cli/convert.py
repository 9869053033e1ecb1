"""`convert pipeline|official|export`: runs and published files -> pipeline folders, and back."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal

from jcdm.cli.options import command_parser, parse_command, read_config, take_word
from jcdm.config import Config, MotionConfig
from jcdm.errors import ConfigError

PROG = "python -m jcdm convert"


def main(argv: Sequence[str]) -> None:
    """Run `convert WORD ...`."""
    actions: dict[str, Callable[[Sequence[str]], None]] = {
        "pipeline": _pipeline,
        "official": _official,
        "export": _export,
    }
    word, rest = take_word(argv, tuple(actions), PROG)
    actions[word](rest)


def _pipeline(argv: Sequence[str]) -> None:
    parser = command_parser(
        f"{PROG} pipeline",
        "Write a denoiser or motion run as a folder for JCDMPipeline.from_pretrained.",
    )
    parser.add_argument("--run", type=Path, required=True, help="run of stage 2, part 1 or 2")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--prior", type=Path | None, default=None, help="another prior's folder")
    parser.add_argument("--dtype", type=Literal["float32", "float16"], default="float32")
    options = parse_command(parser, argv)
    file = options.run / "config.yaml"
    if not file.is_file():
        raise ConfigError(
            f"--run {options.run} holds no config.yaml; expected the folder of a training run."
        )
    config = read_config(Config, [], prog=PROG, default_config=str(file))
    if options.prior is not None:
        config = replace(config, prior=replace(config.prior, weights=options.prior))
    import torch

    from jcdm.training.packing import pack_run

    out = pack_run(options.run, config, options.out, dtype=getattr(torch, options.dtype))
    print(f"pipeline written: {out}")


def _official(argv: Sequence[str]) -> None:
    parser = command_parser(
        f"{PROG} official", "Write published weight files as a pipeline folder."
    )
    for name, required, purpose in _OFFICIAL_FILES:
        spellings = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
        kind = Path if required else Path | None
        parser.add_argument(*spellings, type=kind, required=required, help=purpose)
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--sha256", type=Path | None, help="list of checksums to compare with")
    parser.add_argument("--schedule", type=Literal["published", "trained"], default="published")
    parser.add_argument("--height", type=int, default=768, help="pixels of a view")
    parser.add_argument("--width", type=int, default=768, help="pixels of a view")
    parser.add_argument("--motion_axis", type=Literal["views", "frames"], default="views")
    parser.add_argument("--motion_heads", type=int, default=8)
    parser.add_argument("--motion_groups", type=int, default=32)
    options = parse_command(parser, argv)
    from jcdm.compat.convert_official import OfficialFiles, OfficialSettings, convert_official
    from jcdm.logs import quiet_libraries

    files = OfficialFiles(**{f.name: options[f.name] for f in fields(OfficialFiles)})
    settings = OfficialSettings(
        schedule=options.schedule,
        height=options.height,
        width=options.width,
        motion=MotionConfig(
            axis=options.motion_axis,
            num_heads=options.motion_heads,
            norm_num_groups=options.motion_groups,
        ),
    )
    with quiet_libraries():
        out = convert_official(files, options.out, settings, sums=options.sha256)
    print(f"pipeline written: {out} (sources and settings: provenance.json, README.md)")


_OFFICIAL_FILES = (
    ("apm", True, "appearance prior: DeepSpeed's mp_rank_00_model_states.pt or a state dict"),
    ("denoising_unet", True, "denoising_unet-N.pth"),
    ("pose_guider", True, "pose_guider-N.pth"),
    ("linear", True, "linear_emb-N.pth"),
    ("motion", False, "motion_module-N.pth, or motion weights of AnimateAnyone or AnimateDiff"),
    ("sd15", True, "Stable Diffusion 1.5: folder or single file (its architecture is read)"),
    ("vae", True, "folder of the VAE"),
    ("image_encoder", True, "folder of the CLIP image encoder"),
    ("prior_config", True, "folder of the Kandinsky prior (its config.json is read)"),
)


def _export(argv: Sequence[str]) -> None:
    parser = command_parser(
        f"{PROG} export", "Write a pipeline in the layout of the published weight files."
    )
    parser.add_argument("--pipeline", type=Path, required=True, help="pipeline folder")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--step", type=int, default=0, help="number in the files' names")
    options = parse_command(parser, argv)
    from jcdm.compat.export_official import export_official

    for file in export_official(options.pipeline, options.out, step=options.step):
        print(f"written: {file}")
