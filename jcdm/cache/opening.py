"""The cache of a configuration: what it must be, open it for training, build it."""

from pathlib import Path

from jcdm.cache.layout import CacheIdentity
from jcdm.cache.places import LocalCopies, remote_url
from jcdm.cache.reader import DEFAULT_COPIES, EncoderCache
from jcdm.config import Config
from jcdm.errors import ConfigError
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.models.identity import weights_hash


def expected_identity(
    config: Config, clip: FrozenCLIPVision, vae: FrozenVAE | None
) -> CacheIdentity:
    """Say what a cache of these encoders and sizes is.

    vae: None = neither latents nor patch tokens are asked for: by the prior, which reads neither.
    Errors: ConfigError for pictures that are cut at random, whose latents differ in every epoch.
    """
    if vae is not None and config.data.fit == "crop" and config.data.random_crop:
        raise ConfigError(
            "encoders.cache keeps one picture a photograph, but data.fit=crop cuts anywhere. Set "
            "data.random_crop=false (the centre), or another data.fit."
        )
    return CacheIdentity(
        vae=None if vae is None else weights_hash(vae),
        image_encoder=weights_hash(clip),
        height=config.data.height,
        width=config.data.width,
        fit=config.data.fit,
        clip_size=clip.image_size,
        clip_fit=config.encoders.clip_fit,
        patch_tokens=vae is not None and config.jci.patch_grid > 0,
    )


def open_cache(config: Config) -> EncoderCache | None:
    """Open encoders.cache; None where the configuration names none. Errors: DataError."""
    place = config.encoders.cache
    return None if place is None else EncoderCache(place, config.data.index, local_copies(config))


def local_copies(config: Config) -> LocalCopies:
    """Say where shards of caches that lie elsewhere are copied to."""
    encoders = config.encoders
    return LocalCopies(
        folder=encoders.cache_copies or DEFAULT_COPIES,
        max_bytes=round(encoders.cache_copies_gb * 1e9),
    )


def require_local(place: Path | None, key: str) -> Path:
    """Return the folder that the configuration's `key` names to build in. Errors: ConfigError."""
    if place is None or remote_url(place) is not None:
        raise ConfigError(
            f"{key} is {place}; expected a local folder to build the cache in: --{key}=DIR. Copy "
            "it elsewhere when it is complete."
        )
    return place
