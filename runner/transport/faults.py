"""httpx's exceptions as faults: the one place where they are named, each with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from runner.model import Fault, FaultKind
from runner.trackers import Tracker


class _Rule(NamedTuple):
    """How one exception reads. `sent` is false only where nothing can have reached the tracker."""

    kind: FaultKind
    sent: bool
    message: str
    hint: str = ""


_SLOW = "raise `timeout:`, or see whether the tracker is overloaded"
_LOST = "the tracker, or a gateway before it, hung up; try again, and look at its error log"
_ADDRESS = "check the tracker's address"
_BUG = "please report this as a bug"

_ODD = _Rule(FaultKind.PROTOCOL, True, "the exchange with {where} went wrong: {why}", _BUG)
_BROKE = _Rule(FaultKind.RESET, True, "the connection to {where} was lost: {why}", _LOST)
_NONSENSE = _Rule(
    FaultKind.PROTOCOL,
    True,
    "what {where} answers is not HTTP: {why}",
    "check the port: something else may be listening there",
)
_NO_ROUTE = _Rule(
    FaultKind.CONNECT,
    False,
    "cannot connect to {where}: {why}",
    "check the tracker's address, the network and any firewall",
)

# By name, so that httpx need not be imported. A test holds the table against what httpx exports,
# which is why classes stand here that this use of it cannot raise.
RULES: Mapping[str, _Rule] = {
    "ConnectTimeout": _Rule(
        FaultKind.CONNECT,
        False,
        "cannot connect to {where} within {seconds} s",
        "check the address and any firewall: nothing answers there, not even with a refusal",
    ),
    "PoolTimeout": _Rule(FaultKind.CONNECT, False, "no connection was free for {seconds} s", _BUG),
    "ReadTimeout": _Rule(
        FaultKind.TIMEOUT, True, "nothing came from {where} for {seconds} s", _SLOW
    ),
    "WriteTimeout": _Rule(
        FaultKind.TIMEOUT, True, "{where} did not take the request for {seconds} s", _SLOW
    ),
    "TimeoutException": _Rule(FaultKind.TIMEOUT, True, "{where} took more than {seconds} s", _SLOW),
    "ConnectError": _NO_ROUTE,
    "ReadError": _BROKE,
    "WriteError": _BROKE,
    "CloseError": _BROKE,
    "NetworkError": _BROKE,
    "ProxyError": _Rule(
        FaultKind.CONNECT,
        False,
        "the proxy does not let the request through to {where}: {why}",
        "check HTTPS_PROXY, or exempt the tracker's host with NO_PROXY",
    ),
    "RemoteProtocolError": _NONSENSE,
    "LocalProtocolError": _ODD,
    "ProtocolError": _ODD,
    "UnsupportedProtocol": _Rule(FaultKind.PROTOCOL, False, "cannot speak to {where}: {why}", _BUG),
    "InvalidURL": _Rule(FaultKind.PROTOCOL, False, "the request's URL is not one: {why}", _ADDRESS),
    "DecodingError": _NONSENSE,
    "TransportError": _ODD,
    "RequestError": _ODD,
    "HTTPError": _ODD,
    "TooManyRedirects": _ODD,
    "HTTPStatusError": _ODD,
    "CookieConflict": _ODD,
    "StreamError": _ODD,
    "StreamConsumed": _ODD,
    "StreamClosed": _ODD,
    "ResponseNotRead": _ODD,
    "RequestNotRead": _ODD,
    "TooLargeError": _Rule(
        FaultKind.TOO_LARGE,
        True,
        "the answer of {where} is too large: {why}",
        "ask for less: a range, a limit, fewer columns",
    ),
    "TooSlowError": _Rule(
        FaultKind.TIMEOUT, True, "the answer of {where} came too slowly to be waited for", _SLOW
    ),
    "GarbledError": _Rule(
        FaultKind.PROTOCOL,
        True,
        "the answer of {where} is garbled: {why}",
        "look at the tracker's web server, or at what stands before it",
    ),
}

_REFUSED = _Rule(
    FaultKind.REFUSED,
    False,
    "{where} refuses connections",
    "check the address and the port, and that the tracker's web server runs",
)
_NO_NAME = _Rule(
    FaultKind.DNS,
    False,
    "the name of {where} cannot be resolved ({why})",
    "check the spelling of the address, and that this machine can look names up",
)
_TLS = _Rule(
    FaultKind.TLS,
    False,
    "no secure connection to {where}: {why}",
    "check that https is served on that port",
)
_UNTRUSTED = "if that is right, name its authority: `ca_file:` in the trackers file"

# OpenSSL's X509_V_ERR_… codes: what each means, and what helps.
_CERTIFICATES: Mapping[int, tuple[str, str]] = {
    9: ("its certificate is not valid yet", "check the clocks here and there"),
    10: ("its certificate has expired", "renew the certificate on the tracker's server"),
    18: ("its certificate is self-signed", _UNTRUSTED),
    19: ("its certificate goes back to an authority that is not known here", _UNTRUSTED),
    20: (
        "its certificate is by an authority that is not known here",
        f"the server may leave out the intermediate certificate; {_UNTRUSTED}",
    ),
    62: (
        "its certificate is for another name",
        "use the name on the certificate; to connect by address, keep the name in `url:` "
        "and put the address into `resolve:`",
    ),
}
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")  # OpenSSL's words, up to 3.3 and since
_CERTIFICATES_ALIKE = {21: 20, 64: 62}


def explain(
    error: Exception, tracker: Tracker, timeout: float, status: int | None, body: bytes
) -> Fault:
    """The fault that an exception of httpx's, or of `body`, amounts to.

    `status` and `body` are what had arrived, `timeout` is in seconds.
    """
    origin = _origin(error)
    rule = _rule(error, origin)
    why = getattr(origin, "strerror", None) or str(origin) or type(origin).__name__
    message = rule.message.format(where=_where(tracker), seconds=f"{timeout:g}", why=why)
    if status is not None:
        message += f"; it had begun to answer {status}"
    return Fault(rule.kind, message, rule.hint, rule.sent, status, body)


def unsendable(error: Exception) -> Fault:
    """The fault of a request that cannot be written down, such as a body that holds NaN."""
    return Fault(
        FaultKind.PROTOCOL,
        f"the request cannot be written down: {error}",
        "nothing was sent; look at the values of the step's id, params and body",
        sent=False,
    )


def _origin(error: Exception) -> Exception:
    """The operating system's own error beneath httpx's and httpcore's, else the error itself."""
    inner: BaseException = error
    while True:
        around = (inner.__cause__, *inner.args[:1])
        deeper = next((cause for cause in around if isinstance(cause, BaseException)), None)
        if deeper is None:
            return inner if isinstance(inner, OSError) else error
        inner = deeper


def _rule(error: Exception, origin: BaseException) -> _Rule:
    if type(error).__name__ == "ConnectError":
        return _of_connecting(origin)
    # h11's words for a connection that ended early, which is no breach of the protocol.
    if any(words in str(error) for words in ("peer closed", "disconnected")):
        return _BROKE
    names = (kind.__name__ for kind in type(error).__mro__)
    return next(RULES[name] for name in names if name in RULES)


def _of_connecting(origin: BaseException) -> _Rule:
    import socket  # noqa: PLC0415 (httpx brings both, and is late)
    import ssl  # noqa: PLC0415

    if isinstance(origin, ssl.SSLError):
        return _of_tls(origin)
    if isinstance(origin, socket.gaierror):
        return _NO_NAME
    return _REFUSED if isinstance(origin, ConnectionRefusedError) else _NO_ROUTE


def _of_tls(origin: OSError) -> _Rule:
    code = getattr(origin, "verify_code", 0)
    found = _CERTIFICATES.get(_CERTIFICATES_ALIKE.get(code, code))
    if found:
        meaning, hint = found
    elif getattr(origin, "reason", None) in _NOT_TLS:
        meaning, hint = "what answers there does not speak TLS", _TLS.hint
    else:
        meaning, hint = getattr(origin, "verify_message", None) or "{why}", _TLS.hint
    return _Rule(FaultKind.TLS, False, _TLS.message.replace("{why}", meaning), hint)


def _where(tracker: Tracker) -> str:
    where = urlsplit(tracker.url).netloc
    if tracker.resolve:
        where += f" (at {tracker.resolve})"
    if tracker.proxy:
        parts = urlsplit(tracker.proxy)
        where += f" through the proxy {parts.hostname}"
    return where
