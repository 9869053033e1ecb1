"""The motion modules of training start from published ones: JCDM, AnimateAnyone, AnimateDiff."""

from pathlib import Path

from jcdm.compat.official_motion import MIDDLE, TABLE, MotionFile, match_motion, open_motion
from jcdm.compat.position_tables import is_usual_table
from jcdm.compat.start_report import StartReport, copy_pieces, count
from jcdm.errors import CheckpointError
from jcdm.models.denoiser import JCDMDenoiser


def start_motion(denoiser: JCDMDenoiser, source: Path) -> StartReport:
    """Copy a motion file into the attached motion modules of a denoiser.

    Position tables are computed, not copied, so that a file of 24 positions serves a model of 32;
    a middle block that the file lacks (AnimateDiff v1, v3) stays fresh. Errors: CheckpointError
    for weights that are missing, unknown or of another size, and for tables of another kind.
    """
    assert denoiser.motion is not None, "motion modules are attached first"
    motion = open_motion(source)
    _check_tables(motion)
    state = denoiser.motion.state_dict()
    learned = {name: tensor for name, tensor in state.items() if not name.endswith("positions.pe")}
    pieces, absent = match_motion(motion, learned)
    copy_pieces(state, pieces)
    lacking = f"{MIDDLE.rstrip('.')}, which the file lacks"
    return StartReport(
        part="motion",
        source=source,
        num_loaded=count(learned[name] for name in pieces),
        fresh={lacking: count(learned[name] for name in absent)} if absent else {},
        unused=("the U-Net around the motion modules",) if motion.others else (),
    )


def _check_tables(motion: MotionFile) -> None:
    """Raise a CheckpointError unless the stored position tables are the usual computed ones."""
    for name in (name for name in motion.names if name.endswith(TABLE)):
        if not is_usual_table(motion.files.read([name])[name]):
            raise CheckpointError(
                f"{motion.files}: {name} is not the usual sinusoidal table. Expected motion "
                "weights of the kind of AnimateDiff's."
            )
