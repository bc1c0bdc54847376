"""Answers outside 2xx as failures: which status means what, and what helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from runner.answers.content import Content, excerpt
from runner.answers.kinds import FailureType
from runner.model import Failure, Reply


class _Meaning(NamedTuple):
    kind: FailureType
    message: str
    hint: str = ""


_CLOUDFLARE = _Meaning(
    FailureType.CLOUDFLARE,
    "Cloudflare, which stands before the tracker, turned the request away",
    "in the trackers file set a browser-like `user_agent:`, or the origin's own address as "
    "`resolve:`; or have this machine's address allow-listed at Cloudflare for /admin_api",
)
_DEMO = _Meaning(
    FailureType.FORBIDDEN,
    "this is the demo tracker, which allows no changes",
    "rehearse against the emulator: keitaro-runner emulate",
)
_NO_PAGE = _Meaning(
    FailureType.NOT_FOUND,
    "a web server answers there, but not Keitaro's Admin API",
    "check the tracker's address, and the path that it is installed under",
)
_OVERLOADED = "wait, and see whether the tracker is overloaded or being updated"
_ORIGIN = "the tracker's server is down, or closed to Cloudflare: look at it, not at the playbook"

_MEANINGS: Mapping[int, _Meaning] = {
    401: _Meaning(
        FailureType.UNAUTHORIZED,
        "the tracker does not accept the API key",
        "check that the key belongs to this tracker and was not deleted (in the panel: user, "
        "API keys)",
    ),
    402: _Meaning(
        FailureType.PAYMENT_REQUIRED,
        "the Admin API is not part of this tracker's edition",
        "it takes the edition Expert or higher (on version 9: Business), and a paid licence",
    ),
    403: _Meaning(
        FailureType.FORBIDDEN,
        "the user that the key belongs to may not do this",
        "give the user the right in the panel, or use the key of one who has it",
    ),
    404: _Meaning(
        FailureType.NOT_FOUND,
        "the tracker does not have it",
        "check the id; what is archived, or hidden from the key's user, counts as missing",
    ),
    406: _Meaning(FailureType.INVALID, "the tracker does not accept the values"),
    422: _Meaning(FailureType.INVALID, "the tracker does not accept the values"),
    429: _Meaning(
        FailureType.RATE_LIMITED,
        "too many requests",
        "send less at once: lower `concurrency:`",
    ),
    502: _Meaning(FailureType.GATEWAY, "the gateway got no proper answer", _OVERLOADED),
    503: _Meaning(FailureType.GATEWAY, "the tracker is not available", _OVERLOADED),
    504: _Meaning(FailureType.GATEWAY, "the gateway gave up waiting", _OVERLOADED),
    520: _Meaning(FailureType.GATEWAY, "Cloudflare got no proper answer", _ORIGIN),
    521: _Meaning(FailureType.GATEWAY, "Cloudflare was refused by the tracker's server", _ORIGIN),
    522: _Meaning(FailureType.GATEWAY, "Cloudflare could not connect in time", _ORIGIN),
    523: _Meaning(FailureType.GATEWAY, "Cloudflare cannot reach the tracker's server", _ORIGIN),
    524: _Meaning(FailureType.GATEWAY, "Cloudflare gave up waiting (after 100 s)", _ORIGIN),
    525: _Meaning(FailureType.GATEWAY, "Cloudflare and the server found no common TLS", _ORIGIN),
    526: _Meaning(FailureType.GATEWAY, "Cloudflare distrusts the server's certificate", _ORIGIN),
    530: _Meaning(FailureType.GATEWAY, "Cloudflare does not find the tracker's server", _ORIGIN),
}
_WRONG = _Meaning(FailureType.BAD_REQUEST, "the tracker finds the request wrong")
_FAILED = _Meaning(
    FailureType.SERVER_ERROR,
    "the tracker failed",
    "look at its error log; some versions answer so to a body that lacks a field",
)
_STRANGE = _Meaning(FailureType.BAD_REQUEST, "the answer has an unexpected status")


def refusal(reply: Reply) -> Failure:
    """The failure that a reply outside 2xx amounts to, in the tracker's words and in ours."""
    content = Content(reply)
    if 300 <= reply.status < 400:
        return _redirect(reply, content)
    meaning = _meaning(reply, content)
    message = f"{meaning.message} ({reply.status})"
    if wait := reply.headers.get("retry-after"):
        message += f", and says when to come back (Retry-After: {excerpt(wait)})"
    # A title such as "Attention Required!" says nothing that the meaning does not.
    words = "" if content.is_blank or content.is_page else content.words
    return content.failure(meaning.kind, f"{message}: {words}" if words else message, meaning.hint)


def _meaning(reply: Reply, content: Content) -> _Meaning:
    if _is_cloudflare(reply, content):
        return _CLOUDFLARE
    if reply.status == 403 and "not allowed in demo" in content.text.lower():
        return _DEMO
    if reply.status == 404 and content.is_page:
        return _NO_PAGE
    return _MEANINGS.get(reply.status) or _of_class(reply.status)


def _of_class(status: int) -> _Meaning:
    if status >= 500:
        return _FAILED
    return _WRONG if status >= 400 else _STRANGE


def _is_cloudflare(reply: Reply, content: Content) -> bool:
    """Whether Cloudflare turned the request away, by its header, its error payload or its page."""
    if "cf-mitigated" in reply.headers:
        return True
    if reply.status not in (403, 503):
        return False
    data = content.json
    if isinstance(data, dict) and (data.get("cloudflare_error") or data.get("error_code") == 1010):
        return True
    if "error code: 10" in content.text[:200].lower():  # its plain form: "error code: 1010"
        return True
    return content.is_page and reply.headers.get("server", "").lower() == "cloudflare"


def _redirect(reply: Reply, content: Content) -> Failure:
    place = excerpt(reply.headers.get("location", "")) or "nowhere in particular"
    return content.failure(
        FailureType.REDIRECT,
        f"the tracker points elsewhere ({reply.status}): {place}",
        "not followed, since the key goes to its own tracker only; if that is where the tracker "
        "lives, make it the address (KEITARO_URL, or `url:` in the trackers file)",
    )
