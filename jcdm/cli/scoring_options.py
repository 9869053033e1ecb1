"""Options that say how pictures are scored, shared by every command that scores."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from jcdm.cli.detector_options import add_detector_options
from jcdm.cli.options import read_size
from jcdm.errors import ConfigError

if TYPE_CHECKING:
    from jcdm.evaluation.scoring_plan import ScoringPlan


def add_scoring_options(parser: ArgumentParser, *, needs_protocol: bool) -> None:
    """Add --protocol, the networks' weight files and all else that decides about scores."""
    add = parser.add_argument
    kind = str if needs_protocol else str | None
    add("--protocol", type=kind, required=needs_protocol, help="pcdms, cfld or strict")
    add("--reference", type=Path | None, default=None, help="folder of FID's real pictures")
    add("--size", type=str, default="256x176", help="HEIGHTxWIDTH of scoring")
    add("--method", type=str, default="ours", help="name of the table's row")
    add("--scores", type=str, nargs="*", default=None, help="must be computed; default: all can")
    add("--inception", type=Path | None, default=None, help="weights for FID and KID")
    add("--alexnet", type=Path | None, default=None, help="weights for LPIPS")
    add("--lpips_heads", type=Path | None, default=None, help="heads of LPIPS 0.1; default: lpips")
    add("--clip", type=Path | None, default=None, help="folder of a CLIP image encoder, for CLIP-I")
    add(
        "--on_bad",
        "--on-bad",
        choices=("error", "skip"),
        default="error",
        help="a damaged picture ends it, or is left out and named",
    )
    add("--cache", type=Path | None, default=None, help="default: .cache/jcdm/scores at home")
    add("--reference_rows", type=bool, default=True, help="score the truth itself, and copies")
    add_detector_options(parser)


def scoring_plan(options: Namespace, poses: Path | None) -> "ScoringPlan":
    """Read the options as a plan. Errors: ConfigError for a size or a detector that is wrong."""
    from jcdm.cli.detector_options import build_detector
    from jcdm.evaluation.scoring_plan import ScoringPlan

    return ScoringPlan(
        protocol=options.protocol,
        size=read_size("--size", options.size),
        method=options.method,
        names=options.scores,
        reference=options.reference,
        inception=options.inception,
        alexnet=options.alexnet,
        lpips_heads=options.lpips_heads,
        clip=options.clip,
        poses=poses,
        detector=build_detector(options),
        on_bad=options.on_bad,
        cache=options.cache,
        reference_rows=options.reference_rows,
    )


def refuse_existing(out: Path) -> None:
    """Raise a ConfigError when a folder that is to be written exists."""
    if out.exists():
        raise ConfigError(f"{out} exists; choose a new folder, or remove it first.")
