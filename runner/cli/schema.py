"""`schema`: a bundled JSON Schema on stdout, for editors and for other programs."""

from __future__ import annotations

import click

from runner.catalogue import bundled


@click.command("schema")
@click.argument("name", type=click.Choice(["playbook", "envelope"]), default="playbook")
def command(name: str) -> None:
    """Print the JSON Schema of a playbook (the default) or of an envelope."""
    click.echo((bundled("schemas") / f"{name}.schema.json").read_text(encoding="utf-8"), nl=False)
