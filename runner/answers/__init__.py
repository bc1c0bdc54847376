"""What an answer amounts to: pure judgement, on the operation's own terms; knows no resource.

How a 2xx is judged, a destroy being a write of which no answer is needed:

| the answer | read | write | destroy |
|---|---|---|---|
| JSON of the promised outer shape, or no body where none is promised | true | true | true |
| no body, though one is promised: `empty` | false | null, or true if repeating is harmless | true |
| JSON of another outer shape: `wrong_type` | false | null | true |
| JSON that is an `error` and nothing else: `rejected` | false | false | false |
| a web page: `not_json` | false | false | false |
| anything else that is not JSON: `not_json` | false | null | null |

Null is for a write to which the tracker said yes, but not in a way that tells what it did: it is
in doubt, like one whose answer never came, and is found again by the same means. A web page is
no such doubt, since Keitaro gives its admin page to any path that it does not know.

Outside 2xx a write's outcome is null where a gateway gave up waiting (502, 504, 520–524), and
false elsewhere. Without an answer it is null if anything was sent.

The data of a download is `{"content_type": …, "bytes": its length, "base64": its content}`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from types import NoneType

from runner.answers.content import Content, raw
from runner.answers.kinds import FailureType
from runner.answers.refusals import refusal
from runner.catalogue import Operation
from runner.model import Effect, Failure, Fault, Json, Reply, Verdict

__all__ = ["FailureType", "judge"]

# What the tracker finds wrong with the call itself.
_ABOUT_THE_CALL = frozenset({FailureType.INVALID, FailureType.BAD_REQUEST})
# A gateway that answers so has passed the request on, or may have: 502 bad gateway, 504 timeout,
# and Cloudflare's 520 to 524. 503, 525 and 526 say that nothing was passed on.
_IN_DOUBT = frozenset({502, 504, 520, 521, 522, 523, 524})
_DOUBT = "whether it was done is not known: look at the tracker before sending it again"

_SHAPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (NoneType,),
}


def judge(operation: Operation, outcome: Reply | Fault) -> Verdict:
    """What came of one call. Data is given with success only; a failure holds the response."""
    if isinstance(outcome, Fault):
        return _without_answer(operation, outcome)
    if 200 <= outcome.status < 300:
        return _accepted(operation, outcome)
    failure = refusal(outcome)
    if failure.type in _ABOUT_THE_CALL and not failure.hint:
        hint = f"what it takes: keitaro-runner explain {operation}"
        failure = failure._replace(hint=hint)
    return _verdict(operation, failure, done=_done(outcome.status))


def _without_answer(operation: Operation, fault: Fault) -> Verdict:
    response = raw(fault.body.decode("utf-8", "replace")) if fault.body else None
    failure = Failure(fault.kind.value, fault.message, fault.hint, fault.status, response)
    # An answer that broke off had a status before, and a refusal is one without its body too.
    return _verdict(operation, failure, done=_done(fault.status) if fault.sent else False)


def _done(status: int | None) -> bool | None:
    """Whether a write that was answered so took place: no, or not known."""
    return None if status is None or status < 300 or status in _IN_DOUBT else False


def _verdict(operation: Operation, failure: Failure, *, done: bool | None) -> Verdict:
    """The failure of a read; of a write, with `done` saying whether it took place."""
    success = False if operation.effect is Effect.READS else done
    if success is None:
        hint = f"{failure.hint}; {_DOUBT}" if failure.hint else _DOUBT
        failure = Failure(failure.type, failure.message, hint, failure.status, failure.response)
    return Verdict(success, failure.status, None, failure)


def _accepted(operation: Operation, reply: Reply) -> Verdict:
    content = Content(reply)
    if content.is_blank:
        return _blank(operation, reply.status)
    if content.is_page:
        return _verdict(operation, _page(content), done=False)
    if operation.downloads:
        return Verdict(True, reply.status, _download(reply))
    if not content.is_json:
        return _verdict(operation, _not_json(content), done=None)
    return _parsed(operation, content)


def _parsed(operation: Operation, content: Content) -> Verdict:
    data = content.json
    if content.is_only_error:
        failure = content.failure(
            FailureType.REJECTED,
            f"the tracker answered {content.status}, but with an error: {content.words}",
        )
        return _verdict(operation, failure, done=False)
    if operation.unwrap and isinstance(data, list) and len(data) == 1:
        data = data[0]
    promised = _promised(operation)
    if not promised or operation.effect is Effect.DESTROYS or _fits(data, promised):
        return Verdict(True, content.status, data)
    failure = content.failure(
        FailureType.WRONG_TYPE,
        f"the tracker answered with {_shape(data)} where {operation} promises "
        + " or ".join(promised),
        "the tracker's version may differ from the one that this catalogue describes",
    )
    return _verdict(operation, failure, done=None)


def _blank(operation: Operation, status: int) -> Verdict:
    """Many deletes answer with nothing; a create that does so keeps the new id to itself."""
    promised = _promised(operation)
    needless = operation.effect is not Effect.READS and (
        operation.repeatable or operation.effect is Effect.DESTROYS
    )
    if needless or not promised or "null" in promised:
        return Verdict(True, status, None)
    message = f"the tracker answered {status} with no body where {operation} promises one"
    failure = Failure(FailureType.EMPTY, message, "look at the tracker's error log", status)
    return _verdict(operation, failure, done=None)


def _promised(operation: Operation) -> list[str]:
    """The outer types that the catalogue allows; none where it says nothing."""
    names = operation.response.get("type", [])
    return [names] if isinstance(names, str) else list(names)


def _fits(data: Json, promised: list[str]) -> bool:
    if isinstance(data, bool):  # which Python counts among the integers
        return "boolean" in promised
    return any(isinstance(data, _SHAPES[name]) for name in promised)


def _shape(data: Json) -> str:
    return next(name for name in ("boolean", *_SHAPES) if _fits(data, [name]))


def _download(reply: Reply) -> Json:
    return {
        "content_type": reply.headers.get("content-type", "application/octet-stream"),
        "bytes": len(reply.body),
        "base64": base64.b64encode(reply.body).decode(),
    }


def _page(content: Content) -> Failure:
    return content.failure(
        FailureType.NOT_JSON,
        f"the tracker answered {content.status} with a web page where JSON belongs"
        + (f": '{content.words}'" if content.words else ""),
        "Keitaro gives its admin page to a path that it does not know: check that the address is "
        "the tracker's own, and that its version is new enough for this operation",
    )


def _not_json(content: Content) -> Failure:
    return content.failure(
        FailureType.NOT_JSON,
        f"the tracker answered {content.status}, but not with JSON: '{content.words}'",
        "the answer was cut short, or something was written into it (a PHP warning?): "
        "look at the tracker's error log",
    )
