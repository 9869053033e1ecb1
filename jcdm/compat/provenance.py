"""Where a converted pipeline comes from: source files with checksums, settings, a model card."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from jcdm.errors import CheckpointError
from jcdm.manifest import code_identity, package_versions, write_manifest

PROVENANCE, MODEL_CARD = "provenance.json", "README.md"
TEMPLATE = "model_card.md.j2"


def describe_sources(roles: Mapping[str, Sequence[Path]]) -> list[dict[str, Any]]:
    """List source files by role, with size in bytes and SHA-256; each is read once."""
    return [
        {
            "role": role,
            "file": path.name,
            "size": path.stat().st_size,
            "sha256": _checksum(path),
        }
        for role, paths in roles.items()
        for path in paths
    ]


def compare_with_sums(sources: Iterable[Mapping[str, Any]], sums: Path) -> None:
    """Compare files with a list as `sha256sum` writes it: one `SHA-256  name` a line.

    Errors: CheckpointError for a file with another checksum, or one that is not in the list.
    """
    listed = _read_sums(sums)
    for source in sources:
        expected = listed.get(source["file"])
        if expected is None:
            raise CheckpointError(
                f"{sums} has no line for {source['file']}; expected 'SHA-256  name' for every file "
                "read. Add it, or leave --sha256 out."
            )
        if source["sha256"] not in expected:
            raise CheckpointError(
                f"{source['file']} ({source['role']}) has SHA-256 {source['sha256']}, expected "
                f"{' or '.join(sorted(expected))}. Download or copy the file again."
            )


def write_provenance(
    folder: Path,
    sources: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    notes: Sequence[str],
) -> None:
    """Write provenance.json and the model card into a pipeline's folder."""
    facts = {
        "made_by": "python -m jcdm convert official",
        "sources": list(sources),
        "settings": dict(settings),
        "notes": list(notes),
        "code": code_identity(Path(__file__).parent),
        "versions": package_versions(),
    }
    write_manifest(folder / PROVENANCE, facts)
    environment = Environment(
        loader=PackageLoader("jcdm.compat"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    card = environment.get_template(TEMPLATE).render(facts)
    (folder / MODEL_CARD).write_text(card, encoding="utf-8")


def _read_sums(path: Path) -> dict[str, set[str]]:
    """Read a list of checksums by file name; two files of one name are both allowed."""
    listed: dict[str, set[str]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error}. Expected a list as sha256sum writes it."
        ) from None
    for line in filter(str.strip, lines):
        value, _, name = line.strip().partition(" ")
        if len(value) != 64 or not name.strip():
            raise CheckpointError(
                f"{path} holds the line {line[:60]!r}; expected 'SHA-256  name', as sha256sum "
                "writes it."
            )
        listed.setdefault(Path(name.strip().lstrip("*")).name, set()).add(value.lower())
    return listed


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
