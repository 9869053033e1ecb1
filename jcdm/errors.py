"""The errors a user can cause; every message says what was found, what was expected, what to do."""

LONGEST_MESSAGE = 600
"""Characters of a message; names in files may be far longer, and their beginning says enough."""


def printable(text: str) -> str:
    """Escape what a terminal would not show, or would take as a command; cut what is too long."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    if len(text) > LONGEST_MESSAGE:
        text = f"{text[: LONGEST_MESSAGE - 205]} ... {text[-200:]}"
    return text


class JCDMError(Exception):
    """Base of all errors that end a command with one line and exit code 1."""

    def __str__(self) -> str:
        """Give the message as one line, whatever a file wrote into the names that stand in it."""
        return printable(super().__str__())


class ConfigError(JCDMError):
    """A configuration key, option or combination of them is wrong."""


class DataError(JCDMError):
    """An image, list, index or keypoint file is wrong."""


class MissingViewError(DataError):
    """A view that an index names does not exist on disk."""


class CheckpointError(JCDMError):
    """A weight file or checkpoint folder is missing, incomplete or of another shape."""
