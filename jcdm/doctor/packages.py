"""Packages: what is required, in which range, which version was tested, and what is optional."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec

from jcdm.doctor.finding import Finding, missing, note, ok
from jcdm.manifest import PACKAGE

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?\s*([^;]*)")
_TESTED = re.compile(r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)", re.MULTILINE)
OPTIONAL = {
    "onnxruntime": ("onnxruntime", "poses from photographs by DWPose"),
    "controlnet-aux": ("controlnet_aux", "poses from photographs by OpenPose"),
    "torchvision": ("torchvision", "only controlnet-aux needs it"),
    "av": ("av", "films as MP4, and poses from films"),
    "deepspeed": ("deepspeed", "training with configs/accelerate/deepspeed_zero2.yaml"),
}


def find_packages() -> Iterator[Finding]:
    """Compare installed versions with the ranges of the project and with what was tested."""
    tested = tested_versions()
    differing = []
    ranges = required_ranges()
    for name, limits in ranges.items():
        found = installed(name)
        if found is None:
            yield missing("packages", f"{name} is not installed; run: {_INSTALL}")
        elif not within(found, limits):
            yield missing("packages", f"{name} {found}, expected {limits}; run: {_INSTALL}")
        elif _plain(found) != tested.get(name, _plain(found)):
            differing.append(f"{name} {found} (tested {tested[name]})")
    if differing:
        yield note("packages", f"within their ranges, not as tested: {', '.join(differing)}")
    yield ok("packages", f"{len(ranges)} required ones looked at, {len(tested)} versions tested")


def find_optional() -> Iterator[Finding]:
    """Look at packages that single features need, without importing them."""
    for name, (module, purpose) in OPTIONAL.items():
        if find_spec(module) is None:
            yield note(name, f"not installed ({purpose}); optional: pip install {name}")
        else:
            yield ok(name, f"{installed(name)} ({purpose})")


def required_ranges() -> dict[str, str]:
    """Read names and ranges from pyproject.toml, or from the installed package."""
    file = PACKAGE.parent / "pyproject.toml"
    if file.is_file():
        lines = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        required = metadata.requires(PACKAGE.name) or []
        lines = [line for line in required if "extra ==" not in line]
    found = (_REQUIREMENT.match(line) for line in lines)
    return {match[1].lower(): match[2].strip() for match in found if match}


def tested_versions() -> Mapping[str, str]:
    """Read the versions that the project is tested with; none outside a checkout."""
    file = PACKAGE.parent / "requirements.txt"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return {name.lower(): version for name, version in _TESTED.findall(text)}


def installed(name: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def within(version: str, limits: str) -> bool:
    """Say whether a version is inside a range such as `>=1.10,<2`; pre-releases count as final."""
    checks = {">=": tuple.__ge__, "<": tuple.__lt__, "<=": tuple.__le__, ">": tuple.__gt__}
    for limit in filter(None, limits.replace(" ", "").split(",")):
        sign = re.match(r"[<>]=?", limit)
        assert sign, f"{limit!r} in pyproject.toml: expected >=, >, < or <="
        if not checks[sign[0]](_numbers(version), _numbers(limit[sign.end() :])):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, without zeros at its end: 2.0 is 2."""
    text = re.match(r"[\d.]*", version)
    numbers = [int(part) for part in text[0].split(".") if part] if text else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _plain(version: str) -> str:
    """A version without the name of its build: 2.13.0+cpu is 2.13.0."""
    return version.partition("+")[0]


_INSTALL = "pip install -r requirements.txt"
