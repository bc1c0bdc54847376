"""The options that several commands take, each with one meaning and one help."""

from __future__ import annotations

from pathlib import Path

import click

trackers_option = click.option(
    "--trackers",
    "trackers_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of trackers, in place of KEITARO_URL and KEITARO_API_KEY.",
)
insecure_option = click.option(
    "--insecure", is_flag=True, help="Allow plain http to a host that is not this one."
)
