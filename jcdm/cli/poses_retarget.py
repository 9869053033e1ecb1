"""`poses retarget`: fit a pose sequence to the body of a reference."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from jcdm.cli.detector_options import add_detector_options, build_finder, split_options
from jcdm.cli.options import command_parser, parse_command
from jcdm.cli.poses import PROG


def main(argv: Sequence[str]) -> None:
    """Run `poses retarget ...`."""
    parser = command_parser(
        f"{PROG} retarget", "Give a pose sequence the bone lengths, size and place of a reference."
    )
    add = parser.add_argument
    add("--poses", type=Path, required=True, help="JSON of the driving poses")
    add("--reference", type=Path, required=True, help="photograph, or JSON of its pose")
    add("--out", type=Path, required=True, help="JSON of the fitted poses")
    add("--overlay", type=Path | None, default=None, help="PNG: a sheet to check by eye")
    add("--quantile", type=float, default=0.75, help="of a bone's lengths over the sequence, 0..1")
    add_detector_options(parser)
    _fit(*split_options(parse_command(parser, argv)))


def _fit(options: Namespace, detection: Namespace) -> None:
    from jcdm.data.pose_files import read_pose_file, write_pose_file
    from jcdm.poses.reference import read_reference
    from jcdm.poses.retarget import describe_fit, retarget
    from jcdm.poses.sequence import read_timing

    driving = read_pose_file(options.poses)
    reference = read_reference(options.reference, build_finder(detection))
    fitted = retarget(driving, reference.poses, quantile=options.quantile)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    facts = describe_fit(fitted) | read_timing(options.poses)
    names = {"fitted_from": options.poses.name, "fitted_to": options.reference.name}
    write_pose_file(options.out, fitted.poses, **names, **facts)
    print(
        f"{len(fitted.poses)} poses: {options.out}; scale {fitted.scale:.3f}, standing on "
        f"{fitted.standing_on}; {fitted.num_outside} joints lie outside the picture"
    )
    for bone, ratio in fitted.bones.items():
        print(f"  {bone:10} x {ratio.ratio:.3f}  {ratio.source}")
    if options.overlay is not None:
        from jcdm.evaluation.sheets import save_sheet
        from jcdm.poses.retarget_sheet import draw_retarget_sheet

        sheet = draw_retarget_sheet(driving, fitted.poses, reference)
        print(f"to look at: {save_sheet(sheet, options.overlay)}")
