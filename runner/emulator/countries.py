"""Names of countries by ISO 3166 code: offers are written with codes and read back with names."""

from __future__ import annotations

_NAMES = """
AE United Arab Emirates|AR Argentina|AT Austria|AU Australia|AZ Azerbaijan|BD Bangladesh|BE Belgium
BG Bulgaria|BR Brazil|BY Belarus|CA Canada|CH Switzerland|CL Chile|CN China|CO Colombia|CY Cyprus
CZ Czech Republic|DE Germany|DK Denmark|EE Estonia|EG Egypt|ES Spain|FI Finland|FR France
GB United Kingdom|GE Georgia|GR Greece|HK Hong Kong|HR Croatia|HU Hungary|ID Indonesia|IE Ireland
IL Israel|IN India|IT Italy|JP Japan|KE Kenya|KR South Korea|KZ Kazakhstan|LT Lithuania|LV Latvia
MA Morocco|MX Mexico|MY Malaysia|NG Nigeria|NL Netherlands|NO Norway|NZ New Zealand|PE Peru
PH Philippines|PK Pakistan|PL Poland|PT Portugal|RO Romania|RS Serbia|RU Russia|SA Saudi Arabia
SE Sweden|SG Singapore|SI Slovenia|SK Slovakia|TH Thailand|TR Turkey|TW Taiwan|UA Ukraine
US United States|UZ Uzbekistan|VN Vietnam|ZA South Africa
"""

NAMES: dict[str, str] = {
    entry[:2]: entry[3:] for line in _NAMES.split("\n") if line for entry in line.split("|")
}


def country_name(code: str) -> str:
    """Return the country's name, or the code itself where it is unknown (trackers take any)."""
    return NAMES.get(code.upper(), code)
