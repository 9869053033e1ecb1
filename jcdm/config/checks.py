"""Checks that say in one line which key holds what, and what it should hold."""

from jcdm.errors import ConfigError


def require(condition: bool, message: str) -> None:
    """Raise a ConfigError with `message` unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def require_at_least(section: str, smallest: float, **values: float) -> None:
    """Name the first of a section's values that is below `smallest`."""
    for name, value in values.items():
        require(value >= smallest, f"{section}.{name} must be >= {smallest:g}, got {value}.")


def require_share(section: str, **values: float) -> None:
    """Name the first of a section's values that is outside of [0,1]."""
    for name, value in values.items():
        require(0 <= value <= 1, f"{section}.{name} must be between 0 and 1, got {value}.")
