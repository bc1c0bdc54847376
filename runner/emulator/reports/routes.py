"""The routes of reports, logs and costs."""

from __future__ import annotations

from runner.emulator.reports.build import build_report
from runner.emulator.reports.costs import clean_clicks, update_campaign_costs, update_click_costs
from runner.emulator.reports.logs import click_log, conversion_log
from runner.emulator.routing import Route, reads

ROUTES = [
    reads("POST", "/report/build", build_report),
    reads("POST", "/clicks/log", click_log),
    reads("POST", "/conversions/log", conversion_log),
    Route("POST", "/clicks/update_costs", update_click_costs),
    Route("POST", "/clicks/clean", clean_clicks),
    Route("POST", "/campaigns/{id}/update_costs", update_campaign_costs),
]
