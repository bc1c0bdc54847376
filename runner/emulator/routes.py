"""The emulator's own table of operations: it never reads the runner's catalogue."""

from __future__ import annotations

from runner.emulator.entities import (
    campaigns,
    creatives,
    domains,
    integrations,
    partners,
    people,
    registers,
    streams,
)
from runner.emulator.reports import routes as reports
from runner.emulator.routing import RouteTable

ROUTES = RouteTable(
    [
        *people.ROUTES,
        *campaigns.ROUTES,
        *streams.ROUTES,
        *creatives.ROUTES,
        *partners.ROUTES,
        *domains.ROUTES,
        *reports.ROUTES,
        *registers.ROUTES,
        *integrations.ROUTES,
    ]
)
