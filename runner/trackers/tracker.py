"""What it takes to reach one tracker, as a frozen value; knows not where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

API = "/admin_api/v1"
TIMEOUT = 30.0
TRANSPORTS = ("httpx", "curl")


@dataclass(frozen=True, slots=True)
class Tracker:
    """One tracker and how to reach it.

    `url` is scheme, host, port and an optional path prefix, with no slash at its end. `resolve`
    is an IP address to connect to in place of the name; the certificate is still checked against
    the name. `timeout` is in seconds. `proxy` is an address from the environment, never used
    for loopback or beside `resolve`. `transport` is one of `TRANSPORTS`, or
    nothing for the first of them. The key and the proxy's
    password stay out of `repr`.
    """

    name: str
    url: str
    key: str = field(repr=False)
    resolve: str | None = None
    user_agent: str | None = None
    timeout: float = TIMEOUT
    ca_file: Path | None = None
    insecure: bool = False
    proxy: str | None = field(default=None, repr=False)
    transport: str = ""

    @property
    def api(self) -> str:
        """What the paths of the Admin API are appended to."""
        return self.url + API

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown: the key, and the proxy's password where it has one."""
        password = urlsplit(self.proxy).password if self.proxy else None
        return (self.key, password, unquote(password)) if password else (self.key,)
