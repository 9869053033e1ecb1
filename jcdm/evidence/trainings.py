"""Carry out the plan's trainings: caches first, then runs that go on where they were cut."""

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from jcdm.cli.options import read_config
from jcdm.config import Config
from jcdm.errors import ConfigError, JCDMError
from jcdm.evidence.plan import EvidencePlan, Training
from jcdm.plain import leaves, to_plain
from jcdm.training.checkpoint_folders import FINAL

logger = logging.getLogger(__name__)
FILES = {"prior": "stage1_prior", "denoiser": "stage2_denoiser", "motion": "stage2_motion"}


def run_folder(out: Path, name: str, seed: int) -> Path:
    """Return the folder of a training's run."""
    return out / "runs" / f"{name}_{seed}"


def ensure_trained(
    plan: EvidencePlan, name: str, seed: int, out: Path, *, num_loaders: int = 0
) -> Path:
    """Train `name` with a seed unless it is done; returns the folder of its averaged weights.

    num_loaders: processes that prepare batches; they change no number. Errors: ConfigError, also
    where the folder holds a run, finished or not, of another configuration.
    """
    run, training = run_folder(out, name, seed), plan.trainings[name]
    config = training_config(plan, name, seed, out)
    _check_unchanged(run, config)
    if (run / FINAL).is_dir():
        return run / FINAL
    from jcdm.training.run import run_training

    if training.uses is not None:
        ensure_trained(plan, training.uses, seed, out, num_loaders=num_loaders)
    config = replace(config, data=replace(config.data, num_workers=num_loaders))
    _ensure_caches(training, config)
    logger.info("training %s with seed %d in %s", name, seed, run)
    run_training(training.stage, config)
    if not (run / FINAL).is_dir():
        raise JCDMError(f"{run} was ended before its last step; the same command continues it.")
    return run / FINAL


def _check_unchanged(run: Path, config: Config) -> None:
    """Compare a run with what the plan asks for, but for where things lie. Errors: ConfigError."""
    from jcdm.training.checkpoint import CONFIG_FILE, changed_keys

    if not (run / CONFIG_FILE).is_file():
        return
    asked = dict(leaves(to_plain(config, run)))
    changed = [name for name in changed_keys(run, config) if not is_place(asked.get(name))]
    if changed:
        raise ConfigError(
            f"{run} was trained with other values of {', '.join(changed)} than the plan has now. "
            "Train in another folder, --out DIR, or remove this one."
        )


def is_place(value: object) -> bool:
    """Whether a plain value says where something lies, which may differ between equal trainings."""
    return isinstance(value, str) and "/" in value


def training_config(plan: EvidencePlan, name: str, seed: int, out: Path) -> Config:
    """Make the configuration of a training: its file, its options, its seed, what it starts from.

    Errors: ConfigError.
    """
    training = plan.trainings[name]
    file = plan.configs / f"{FILES[training.stage]}.yaml"
    words = [f"--run.out={run_folder(out, name, seed)}", f"--run.seed={seed}"]
    words += [*_data(training.stage, out), *plan.common.get(training.stage, ())]
    if training.uses is not None:
        words += _starts_from(plan, name, seed, out)
    return read_config(
        Config, ["--config", str(file), *words, *training.options], prog="python -m jcdm evidence"
    )


def _data(stage: str, out: Path) -> list[str]:
    """Options that name the people of all trainings and what the frozen encoders make of them."""
    index, cache = "index", "encoded"
    if stage == "motion":
        index, cache = "sequences", "encoded_sequences"
    return [f"--data.index={out / 'people' / index}.json", f"--encoders.cache={out / cache}"]


def _starts_from(plan: EvidencePlan, name: str, seed: int, out: Path) -> list[str]:
    """Options that name the weights of the training that this one uses, and its predictions.

    Trainings share what the prior predicts, but for those that see people in other arrangements.
    """
    training = plan.trainings[name]
    assert training.uses is not None
    used = plan.trainings[training.uses]
    own = any(option.startswith("--data.") for option in training.options)
    folder = run_folder(out, training.uses, seed) / FINAL
    if (used.stage, training.stage) == ("prior", "denoiser"):
        predictions = out / "predicted" / f"{name if own else training.uses}_{seed}"
        return [f"--prior.weights={folder}", f"--prior.predictions={predictions}"]
    if (used.stage, training.stage) == ("denoiser", "motion"):
        assert used.uses is not None
        prior = run_folder(out, used.uses, seed) / FINAL
        predictions = out / "predicted" / f"motion_{used.uses}_{seed}"
        return [
            f"--unet.weights={folder}",
            f"--prior.weights={prior}",
            f"--prior.predictions={predictions}",
        ]
    raise ConfigError(f"a training of stage {training.stage} cannot use one of {used.stage}.")


def _ensure_caches(training: Training, config: Config) -> None:
    """Build the caches that a configuration names, where they are not there yet."""
    from jcdm.training.encoder_cache import build_configured
    from jcdm.training.kept_predictions import build_predictions

    cache, predictions = config.encoders.cache, config.prior.predictions
    with _alone_on(cache):
        if cache is not None and not (cache / "cache.json").is_file():
            plain = replace(config, prior=replace(config.prior, predictions=None))
            logger.info("%s", build_configured(plain, dtype="float16", patch_tokens=True))
    with _alone_on(predictions):
        if predictions is not None and not (predictions / "predictions.json").is_file():
            logger.info("%s", build_predictions(training.stage, config, dtype="float16"))


def _alone_on(folder: Path | None) -> AbstractContextManager[object]:
    """Let one process at a time build a folder; the others find it built."""
    if folder is None:
        return nullcontext()
    folder.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(folder.with_name(f"{folder.name}.lock"))
