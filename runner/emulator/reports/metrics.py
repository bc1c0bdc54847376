"""The metrics of reports: what is added up over clicks, and the formulas on the sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from runner.emulator.reports.columns import Line

PRECISION = 4


@dataclass(slots=True)
class Sums:
    """What a group of clicks adds up to; revenue by status, rebills counted as confirmed."""

    clicks: int = 0
    campaign_uniques: int = 0
    stream_uniques: int = 0
    global_uniques: int = 0
    bots: int = 0
    proxies: int = 0
    empty_referrers: int = 0
    lp_views: int = 0
    lp_clicks: int = 0
    lp_seconds: float = 0
    leads: int = 0
    sales: int = 0
    rejected: int = 0
    rebills: int = 0
    cost: float = 0
    lead_revenue: float = 0
    sale_revenue: float = 0
    rejected_revenue: float = 0

    @property
    def conversions(self) -> int:
        """Held and confirmed conversions, as the official glossary counts them."""
        return self.leads + self.sales

    @property
    def revenue(self) -> float:
        """Held and confirmed revenue."""
        return self.lead_revenue + self.sale_revenue

    def add(self, line: Line) -> None:
        """Add one click and its conversions."""
        click = line.click
        self.clicks += 1
        self.campaign_uniques += bool(click.get("is_unique_campaign"))
        self.stream_uniques += bool(click.get("is_unique_stream"))
        self.global_uniques += bool(click.get("is_unique_global"))
        self.bots += bool(click.get("is_bot"))
        self.proxies += bool(click.get("is_using_proxy"))
        self.empty_referrers += not click.get("referrer")
        self.lp_views += bool(click.get("landing_id"))
        self.lp_clicks += bool(click.get("landing_clicked"))
        self.lp_seconds += click.get("landing_clicked_period", 0)
        self.cost += click.get("cost", 0)
        for conversion in line.conversions:
            self._convert(conversion["status"], conversion["revenue"])

    def _convert(self, status: str, revenue: float) -> None:
        match status:
            case "lead":
                self.leads += 1
                self.lead_revenue += revenue
            case "sale":
                self.sales += 1
                self.sale_revenue += revenue
            case "rebill":
                self.rebills += 1
                self.sale_revenue += revenue
            case "rejected":
                self.rejected += 1
                self.rejected_revenue += revenue
            case _:
                # Newer trackers have custom types (trash, reg, dep); no metric here counts them.
                return


def total_of(lines: Iterable[Line]) -> Sums:
    """Add up all lines."""
    sums = Sums()
    for line in lines:
        sums.add(line)
    return sums


def _ratio(part: float, whole: float, factor: float = 1) -> float:
    """Divide; a zero denominator gives 0 (not established for trackers, which may say null)."""
    return part / whole * factor if whole else 0


Metric = Callable[[Sums], float]

# Formulas of the official glossary where it has them; roi, cpa, lp_ctr, approve and profitability
# are inferences: hold is lead revenue, confirmed is sale revenue.
METRICS: Mapping[str, Metric] = {
    "clicks": lambda s: s.clicks,
    "campaign_unique_clicks": lambda s: s.campaign_uniques,
    "stream_unique_clicks": lambda s: s.stream_uniques,
    "global_unique_clicks": lambda s: s.global_uniques,
    "uc_campaign_rate": lambda s: _ratio(s.campaign_uniques, s.clicks, 100),
    "uc_stream_rate": lambda s: _ratio(s.stream_uniques, s.clicks, 100),
    "uc_global_rate": lambda s: _ratio(s.global_uniques, s.clicks, 100),
    "bots": lambda s: s.bots,
    "bot_share": lambda s: _ratio(s.bots, s.clicks, 100),
    "proxies": lambda s: s.proxies,
    "empty_referrers": lambda s: s.empty_referrers,
    "conversions": lambda s: s.conversions,
    "leads": lambda s: s.leads,
    "sales": lambda s: s.sales,
    "rejected": lambda s: s.rejected,
    "rebills": lambda s: s.rebills,
    "approve": lambda s: _ratio(s.sales, s.conversions + s.rejected, 100),
    "lp_views": lambda s: s.lp_views,
    "lp_clicks": lambda s: s.lp_clicks,
    "lp_ctr": lambda s: _ratio(s.lp_clicks, s.lp_views, 100),
    "landing_clicked_period": lambda s: _ratio(s.lp_seconds, s.lp_clicks),
    "cr": lambda s: _ratio(s.conversions, s.clicks, 100),
    "crs": lambda s: _ratio(s.sales, s.clicks, 100),
    "crl": lambda s: _ratio(s.leads, s.clicks, 100),
    "roi": lambda s: _ratio(s.revenue - s.cost, s.cost, 100),
    "roi_confirmed": lambda s: _ratio(s.sale_revenue - s.cost, s.cost, 100),
    "epc": lambda s: _ratio(s.revenue, s.clicks),
    "epc_confirmed": lambda s: _ratio(s.sale_revenue, s.clicks),
    "cps": lambda s: _ratio(s.cost, s.sales),
    "cpl": lambda s: _ratio(s.cost, s.leads),
    "cpa": lambda s: _ratio(s.cost, s.conversions),
    "cpc": lambda s: _ratio(s.cost, s.clicks),
    # Documented as costs/clicks × 1000.
    "ecpc": lambda s: _ratio(s.cost, s.clicks, 1000),
    "ecpm": lambda s: _ratio(s.revenue, s.clicks, 1000),
    "ecpm_confirmed": lambda s: _ratio(s.sale_revenue, s.clicks, 1000),
    "ec": lambda s: _ratio(s.revenue, s.conversions),
    "ec_confirmed": lambda s: _ratio(s.sale_revenue, s.conversions),
    "profitability": lambda s: _ratio(s.revenue - s.cost, s.revenue, 100),
    "cost": lambda s: s.cost,
    "revenue": lambda s: s.revenue,
    "profit": lambda s: s.revenue - s.cost,
    "profit_confirmed": lambda s: s.sale_revenue - s.cost,
    "lead_revenue": lambda s: s.lead_revenue,
    "sale_revenue": lambda s: s.sale_revenue,
    "rejected_revenue": lambda s: s.rejected_revenue,
}


def measure(name: str, sums: Sums) -> float:
    """Return one metric, rounded to four places."""
    return round(METRICS[name](sums), PRECISION)
