"""The errors a user can cause; every message says what was found, what was expected, what to do."""


class JCDMError(Exception):
    """Base of all errors that end a command with one line and exit code 1."""


class ConfigError(JCDMError):
    """A configuration key, option or combination of them is wrong."""


class DataError(JCDMError):
    """An image, list, index or keypoint file is wrong."""


class MissingViewError(DataError):
    """A view that an index names does not exist on disk."""


class CheckpointError(JCDMError):
    """A weight file or checkpoint folder is missing, incomplete or of another shape."""
