"""`explain`: a resource, an operation, a field, a key, a filter, a problem's code, and the like."""

from __future__ import annotations

import shutil

import click

from runner.catalogue import Catalogue
from runner.cli.topics import UnknownTopicError, contents, explain
from runner.cli.topics.layout import Page
from runner.errors import ExitCode, RunnerError

WIDEST = 100


@click.command("explain")
@click.argument("topic", required=False)
def command(topic: str | None) -> None:
    """Explain TOPIC; without one, list the topics.

    A topic is a resource (campaign), an operation (campaign.create), a field of its body
    (stream.create.filters), a key of playbooks (for_each), what expressions may use (filters,
    or one of them: where), the code of a problem (KT004), or exit-codes.
    """
    page, catalogue = Page(min(shutil.get_terminal_size().columns, WIDEST)), Catalogue()
    if topic is None:
        contents(catalogue, page)
    else:
        try:
            explain(topic, catalogue, page)
        except UnknownTopicError as error:
            raise RunnerError(str(error), error.hint, code=ExitCode.USAGE) from error
    click.echo(str(page))
