"""No test, and no process that a test starts, talks to another computer; who tries is written down.

An audit hook sees every socket that Python opens, whatever opens it, and cannot be taken out again.
What is refused looks like a network that is down. Only this computer itself may be talked to.
"""

import os
import socket
import sys
from typing import Any

LOG = "JCDM_TEST_NETWORK_LOG"
"""Environment variable that names the file of attempts, one a line: test, event, where to."""
_NAMES = ("", "localhost", "ip6-localhost", "0.0.0.0", "::", "::1", socket.gethostname())
_EVENTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")


class NetworkBlockedError(ConnectionRefusedError):
    """A test tried to reach another computer."""


def is_here(host: Any) -> bool:
    """Tell whether a host is this computer; None stands for it, too."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name is None or not isinstance(name, str):
        return name is None
    name = name.removeprefix("::ffff:").partition("%")[0]
    return name in _NAMES or name.startswith("127.")


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse and write down an attempt to reach another computer; called by Python's audits."""
    if event in _EVENTS:
        address = arguments[-1]
        if not isinstance(address, tuple) or is_here(address[0]):  # no tuple: a local socket
            return
        _refuse(event, address[0])
    elif event in _LOOKUPS and not is_here(arguments[0]):
        _refuse(event, arguments[0])


def attempts() -> list[str]:
    """Return the lines of all attempts so far, of this process and of those it started."""
    path = os.environ.get(LOG, "")
    if not path or not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def install() -> None:
    """Guard this process, where a log is named."""
    if os.environ.get(LOG):
        sys.addaudithook(watch)


def _refuse(event: str, host: Any) -> None:
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    with open(os.environ[LOG], "a", encoding="utf-8") as file:
        file.write(f"{test}\t{event}\t{host!r}\n")
    raise NetworkBlockedError(f"tests do not reach other computers: {event} {host!r}")
