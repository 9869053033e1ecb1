"""`doctor [--config FILE]`: what is fine here, what is missing, and where to get it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from jcdm.cli.options import command_parser, parse_command
from jcdm.errors import JCDMError

PROG = "python -m jcdm doctor"
FORMAT, VERSION = "jcdm-doctor", 1


def main(argv: Sequence[str]) -> None:
    """Run `doctor [--config FILE] [--stage STAGE] [--json FILE]`; exit 1 where something lacks."""
    parser = command_parser(
        PROG, "Say what is fine here, what is missing and where to get it. Nothing is downloaded."
    )
    add = parser.add_argument
    add("--config", type=Path | None, default=None, help="look at all that this YAML file needs")
    add(
        "--stage",
        type=Literal["prior", "denoiser", "motion"] | None,
        default=None,
        help="of a training configuration, where its keys do not tell",
    )
    add("--json", type=Path | None, default=None, help="write the findings here, too")
    options = parse_command(parser, argv)
    from jcdm.doctor.examine import examine

    findings = []
    for finding in examine(options.config, options.stage):
        print(f"{finding.state:8} {finding.about:23} {finding.line}", flush=True)
        findings.append(finding)
    if options.json is not None:
        content = {
            "format": FORMAT,
            "version": VERSION,
            "findings": [asdict(finding) for finding in findings],
        }
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    num_missing = sum(finding.state == "missing" for finding in findings)
    if num_missing:
        raise JCDMError(
            f"{num_missing} of {len(findings)} lines above say 'missing' and what to do about it."
        )
