"""What an address, a key and a proxy may look like; never echoes what may hold a secret."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from runner.errors import RunnerError
from runner.masking import SHORTEST
from runner.trackers.tracker import API

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~%-]+)*")
_LOOKS_LIKE_HOST = re.compile(r"(localhost|[\w-]+(\.[\w-]+)+|\[[0-9a-f:.]+\])(:\d+)?(/[\w./-]*)?")


def nearest(word: str, choices: list[str]) -> str:
    """A tail for a message, `, did you mean 'x'?`, or nothing where no choice comes near."""
    import difflib  # noqa: PLC0415 (needed for a mistake only)

    found = difflib.get_close_matches(word, choices, n=1)
    return f", did you mean '{found[0]}'?" if found else ""


def check_url(typed: str, where: str, *, insecure: bool, resolve: str | None) -> str:
    """The normalised address. A refused one is echoed only where it cannot hold a secret."""
    text = typed.strip()
    if not text.isprintable() or " " in text:
        raise RunnerError(f"{where} holds spaces or control characters", "write https://HOST")
    if "://" not in text:
        raise RunnerError(f"{where} is not a URL: it has no scheme", _with_scheme(text))
    try:
        parts = urlsplit(text)
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:
        raise RunnerError(
            f"{where} is not a URL", "write https://HOST or https://HOST:PORT"
        ) from None
    _refuse_extras(parts, where)
    shown = f"[{host}]" if ":" in host else host
    if parts.scheme == "http" and not insecure and not is_loopback(resolve or host):
        raise RunnerError(
            f"{where} is plain http, which would send the key in the clear",
            f"use https://{shown}; or --insecure (`insecure: true` in a trackers file)",
        )
    default = {"http": 80, "https": 443}[parts.scheme]
    origin = f"{parts.scheme}://{shown}{f':{port}' if port not in (None, default) else ''}"
    return origin + _prefix(parts.path, where, origin)


def _with_scheme(text: str) -> str:
    """What was probably meant; without an echo where the key may have been put by mistake."""
    found = _LOOKS_LIKE_HOST.fullmatch(text)
    if not found:
        return "write https://HOST"
    return f"did you mean {'http' if is_loopback(found[1].strip('[]')) else 'https'}://{text}"


def _host(name: str) -> str:
    """The host in lower case, IDNA-encoded; `ValueError` where it is none."""
    if ":" in name:
        return str(ipaddress.IPv6Address(name))
    ascii_name = name if name.isascii() else name.encode("idna").decode()
    labels = ascii_name.lower().removesuffix(".").split(".")
    if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError
    return ".".join(labels)


def _refuse_extras(parts: SplitResult, where: str) -> None:
    if parts.scheme not in ("http", "https"):
        raise RunnerError(f"{where} is neither https nor http", "write https://HOST")
    if "@" in parts.netloc:
        raise RunnerError(
            f"{where} carries a user name or a password",
            "take them out: the tracker knows its callers by the API key alone",
        )
    if parts.query or parts.fragment:
        raise RunnerError(
            f"{where} carries a query or a fragment",
            f"write the address of the tracker alone: {parts.scheme}://{parts.netloc}",
        )


def _prefix(path: str, where: str, origin: str) -> str:
    """The path before `/admin_api/v1`, which people paste along with the address."""
    path = path.rstrip("/")
    path = path.removesuffix(API).removesuffix("/admin_api").rstrip("/")
    if path.endswith("/admin"):
        meant = origin + path.removesuffix("/admin")
        raise RunnerError(f"{where} is the address of the admin panel", f"did you mean {meant}")
    if not _PATH.fullmatch(path):
        raise RunnerError(f"{where} has an impossible path", f"did you mean {origin}")
    return path


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by definition: 127.0.0.0/8, ::1 or `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_key(key: str, where: str) -> str:
    """The key, if it can be a header's value; it is never echoed."""
    if not key:
        raise RunnerError(f"{where} is empty", "make a key in the panel: user, API keys")
    if not _PRINTABLE.fullmatch(key):
        raise RunnerError(
            f"{where} holds spaces, line breaks or other characters that no key has",
            "copy the key again, alone: often a line break came along at its end",
        )
    if len(key) < SHORTEST:
        raise RunnerError(
            f"{where} has fewer than {SHORTEST} characters, as no key has",
            "copy the key again: it was cut off, or is that of a test",
        )
    return key


def proxy_for(url: str, resolve: str | None, environ: Mapping[str, str]) -> str | None:
    """What HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say, in either case, for this address.

    Loopback never goes through a proxy, nor does an address that was given by `resolve`.
    """
    scheme, host = url.split(":", 1)[0], urlsplit(url).hostname or ""
    names = [f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    name = next((name for name in names if environ.get(name)), None)
    if name is None or resolve or is_loopback(host) or _is_exempt(host, environ):
        return None
    value = environ[name] if "://" in environ[name] else f"http://{environ[name]}"
    if urlsplit(value).scheme not in ("http", "https", "socks5", "socks5h"):
        raise RunnerError(f"{name} is not a proxy's address", "write http://HOST:PORT, or unset it")
    return value


def _is_exempt(host: str, environ: Mapping[str, str]) -> bool:
    """Whether NO_PROXY names the host, one of its parents, or everything."""
    listed = (environ.get("no_proxy") or environ.get("NO_PROXY") or "").lower()
    rules = [rule.strip().lstrip(".") for rule in listed.split(",") if rule.strip()]
    return any(rule in ("*", host) or host.endswith(f".{rule}") for rule in rules)
