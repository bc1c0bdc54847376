"""`plan`: which steps of a playbook wait for which, as text or as a drawing."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from runner.cli.preparing import checked
from runner.inputs import Inputs
from runner.planning import build
from runner.planning.order import order_of
from runner.report import graph


@click.command("plan")
@click.argument("playbook")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid"]),
    default="text",
    show_default=True,
    help="Form of the graph; Markdown on GitHub and GitLab draws mermaid.",
)
def command(playbook: str, form: str) -> None:
    """Show the steps of PLAYBOOK (- is standard input) and which must wait for which.

    With --jobs N steps that do not wait for one another may run at a time. The order follows
    from the references, and from what the steps read and change. Nothing is sent.
    """
    document, rules = checked(playbook)
    plan = build(document, rules, Inputs({}), datetime.now(UTC))
    draw = {"text": graph.as_text, "mermaid": graph.as_mermaid}[form]
    for line in draw(plan, order_of(plan, rules.catalogue)):
        click.echo(line)
