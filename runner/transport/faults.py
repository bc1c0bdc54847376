"""httpx's exceptions as faults: the one place where they are named, each with what to do."""

from __future__ import annotations

import errno
import os
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
_LOST = "the tracker, or a gateway before it, hung up: its error log may say why"
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
_ENDED_EARLY = ("peer closed", "server disconnected", "Server disconnected")
_LONGEST_REASON = 300  # characters: some libraries quote what was sent to them
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")  # OpenSSL's words, up to 3.3 and since
_CERTIFICATES_ALIKE = {21: 20, 64: 62}


# libcurl's codes, and whose rule they fall under; the others are told in libcurl's own words.
_CURL: Mapping[int, str] = {
    1: "RemoteProtocolError", 3: "InvalidURL", 8: "RemoteProtocolError",  # not HTTP
    5: "ProxyError", 97: "ProxyError",
    18: "ReadError", 42: "ReadError", 52: "ReadError", 55: "WriteError", 56: "ReadError",
    61: "DecodingError",
}  # fmt: skip
# Where libcurl's own words say too little, or that it was kept from sending once more.
_CURL_SAYS: Mapping[int, str] = {
    6: "Name or service not known",
    42: "server disconnected without sending a response",
    52: "server disconnected without sending a response",
}
_CURL_TLS = frozenset({35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91, 98})
# What libcurl says in the words of OpenSSL, or in its own, and the code of the same.
_CURL_CERTIFICATES: Mapping[str, int] = {
    "no alternative certificate subject name": 62, "does not match": 62, "has expired": 10,
    "not yet valid": 9,
}  # fmt: skip


class CurlError(Exception):
    """What libcurl says went wrong. `sent` is false where the request had not left for certain."""

    def __init__(
        self,
        code: int,
        words: str,
        *,
        sent: bool,
        os_error: int = 0,
        certificate: int = 0,
        proxy_status: int = 0,
    ) -> None:
        super().__init__(words)
        self.code = code
        self.sent = sent
        self.os_error = os_error
        self.certificate = certificate
        self.proxy_status = proxy_status

    @property
    def why(self) -> str:
        """What went wrong, in the system's words or in libcurl's."""
        if self.proxy_status and not self.sent:
            return str(self.proxy_status)
        if self.code in _CURL_SAYS:
            return _CURL_SAYS[self.code]
        return os.strerror(self.os_error) if self.os_error else str(self)

    def rule(self) -> _Rule:
        """How it reads: as the exception of httpx that stands for the same."""
        if not self.sent:
            return self._before_sending()
        if self.code == 28:
            return RULES["ReadTimeout"]
        if self.code == 56 and "chunk" in str(self):
            return _NONSENSE
        return RULES.get(_CURL.get(self.code, ""), _ODD)

    def _before_sending(self) -> _Rule:
        if self.proxy_status >= 300 or _CURL.get(self.code) == "ProxyError":
            return RULES["ProxyError"]
        if self.code == 28:
            return RULES["ConnectTimeout"]
        if self.code == 6:
            return _NO_NAME
        if self.code in _CURL_TLS:
            return self._of_tls()
        if self.code == 7:
            return _REFUSED if self.os_error == errno.ECONNREFUSED else _NO_ROUTE
        found = RULES.get(_CURL.get(self.code, ""), _NO_ROUTE)
        return found._replace(sent=False)

    def _of_tls(self) -> _Rule:
        words = str(self).lower()
        told = next((code for said, code in _CURL_CERTIFICATES.items() if said in words), 0)
        if any(said.replace("_", " ").lower() in words for said in _NOT_TLS):
            return _tls_rule("what answers there does not speak TLS", _TLS.hint)
        return _of_certificate(told or self.certificate)


def explain(
    error: Exception, tracker: Tracker, timeout: float, status: int | None, body: bytes
) -> Fault:
    """The fault that an exception of httpx's, libcurl's, or of `body`, amounts to.

    `status` and `body` are what had arrived, `timeout` is in seconds.
    """
    if isinstance(error, CurlError):
        rule, why = error.rule(), error.why
    else:
        origin = _origin(error)
        rule = _rule(error, origin)
        why = getattr(origin, "strerror", None) or str(origin) or type(origin).__name__
        why = why if len(why) <= _LONGEST_REASON else f"{why[:_LONGEST_REASON]}…"
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
    kind_of = type(error).__name__
    if kind_of == "ConnectError":
        return _of_connecting(origin)
    # A connection that ended early, which is no breach of the protocol.
    if kind_of == "RemoteProtocolError" and str(error).startswith(_ENDED_EARLY):
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
    if getattr(origin, "reason", None) in _NOT_TLS:
        return _tls_rule("what answers there does not speak TLS", _TLS.hint)
    return _of_certificate(
        getattr(origin, "verify_code", 0), getattr(origin, "verify_message", None) or "{why}"
    )


def _of_certificate(code: int, words: str = "{why}") -> _Rule:
    meaning, hint = _CERTIFICATES.get(_CERTIFICATES_ALIKE.get(code, code), (words, _TLS.hint))
    return _tls_rule(meaning, hint)


def _tls_rule(meaning: str, hint: str) -> _Rule:
    return _Rule(FaultKind.TLS, False, _TLS.message.replace("{why}", meaning), hint)


def _where(tracker: Tracker) -> str:
    where = urlsplit(tracker.url).netloc
    if tracker.resolve:
        where += f" (at {tracker.resolve})"
    if tracker.proxy:
        parts = urlsplit(tracker.proxy)
        where += f" through the proxy {parts.hostname}"
    return where
