"""A weight file by its path, or by `hub:owner/name/file`: nothing else is ever downloaded."""

from pathlib import Path

from jcdm.errors import CheckpointError
from jcdm.plain import HUB_PREFIX


def local_file(path: Path) -> Path:
    """Return a path as it is; download a file that is named on the hub, and return its copy.

    Errors: CheckpointError for a name that is incomplete, or that the hub does not give.
    """
    text = path.as_posix()
    if not text.startswith(HUB_PREFIX):
        return path
    owner, _, rest = text.removeprefix(HUB_PREFIX).partition("/")
    name, _, file = rest.partition("/")
    if not file:
        raise CheckpointError(f"found {text!r}, expected {HUB_PREFIX}owner/name/file.")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(f"{owner}/{name}", file))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{text} cannot be downloaded: {reason}. Check the name and the network, or name a "
            "local file."
        ) from None
