"""Answers: what each of them amounts to, for a read, a write and a destroy."""

from __future__ import annotations

import base64
import json

import pytest

from runner.answers import FailureType, judge
from runner.answers.content import RAW_LIMIT, Content
from runner.catalogue import Operation
from runner.model import Effect, Failure, Fault, FaultKind, Json, Reply, Verdict

GET = Operation(
    resource="campaign",
    name="get",
    method="GET",
    path="/campaigns/{id}",
    description="",
    effect=Effect.READS,
    repeatable=True,
    response={"type": "object"},
)
LIST = GET._replace(name="getAll", path="/campaigns", response={"type": "array"})
CREATE = GET._replace(
    name="create", method="POST", path="/campaigns", effect=Effect.WRITES, repeatable=False
)
UPDATE = GET._replace(name="update", method="PUT", effect=Effect.WRITES)
CLONE = CREATE._replace(name="clone", path="/campaigns/{id}/clone", unwrap=True)
DELETE = GET._replace(name="delete", method="DELETE", effect=Effect.DESTROYS)
CLEAN = CREATE._replace(name="clean", response={})
DOWNLOAD = GET._replace(name="download", response={"type": "string"}, downloads=True)

ADMIN_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Keitaro &amp; Co</title></head><body></body></html>"
)
HTML = {"content-type": "text/html; charset=utf-8"}


def _reply(body: Json | bytes = b"", status: int = 200, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def _failure(verdict: Verdict) -> Failure:
    assert verdict.error is not None
    assert verdict.data is None
    assert verdict.status == verdict.error.status
    assert verdict.error.type in list(FailureType)
    return verdict.error


def _success_of(reply: Reply | Fault) -> tuple[bool | None, bool | None, bool | None]:
    """What a read, a create and a delete make of it."""
    return (
        judge(GET, reply).success,
        judge(CREATE, reply).success,
        judge(DELETE, reply).success,
    )


# --- yes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_with_the_promised_shape_is_a_success(status: int) -> None:
    """Keitaro creates with 200 and archives with 201; all of 2xx counts."""
    for operation in (GET, CREATE, DELETE):
        assert judge(operation, _reply({"id": 5}, status)) == Verdict(True, status, {"id": 5})


def test_json_is_json_whatever_its_content_type() -> None:
    """PHP says text/html unless told otherwise, and a byte order mark is no content."""
    assert judge(GET, Reply(200, HTML, b'\xef\xbb\xbf {"id": 5}')).data == {"id": 5}


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    """One broken user agent in a click log does not cost the whole log."""
    assert judge(LIST, Reply(200, {}, b'["caf\xe9"]')).data == ["caf\ufffd"]


@pytest.mark.parametrize(
    ("promised", "data"),
    [
        ({}, [1]),
        ({"properties": {}}, "text"),
        ({"type": ["array", "object"]}, {}),
        ({"type": ["object", "null"]}, None),
        ({"type": "boolean"}, True),
        ({"type": "number"}, 3),
        ({"type": "string"}, "text"),
    ],
    ids=str,
)
def test_what_fits_the_promise_is_taken(promised: dict[str, Json], data: Json) -> None:
    """The outer type is compared as JSON Schema means it; no type promises nothing."""
    for operation in (GET, CREATE):
        verdict = judge(operation._replace(response=promised), _reply(data))
        assert verdict == Verdict(True, 200, data)


def test_an_array_of_one_is_unwrapped_where_the_catalogue_says_so() -> None:
    """Clone, archive and restore answer `[entity]` on some versions and `entity` on others."""
    assert judge(CLONE, _reply([{"id": 6}])).data == {"id": 6}
    assert judge(CLONE, _reply({"id": 6})).data == {"id": 6}
    assert judge(CLONE, _reply([{"id": 6}, {"id": 7}])).success is None
    assert judge(CREATE, _reply([{"id": 6}])).success is None


def test_a_download_is_told_by_its_length_and_content() -> None:
    """Bytes that are no JSON come as base64."""
    verdict = judge(DOWNLOAD, _reply(b"PK\x03\x04", content_type="application/zip"))
    assert verdict.data == {
        "content_type": "application/zip",
        "bytes": 4,
        "base64": base64.b64encode(b"PK\x03\x04").decode(),
    }
    assert judge(DOWNLOAD, _reply(b"PK")).data["content_type"] == "application/octet-stream"
    assert _failure(judge(DOWNLOAD, _reply(ADMIN_PAGE.encode()))).type == "not_json"
    assert _failure(judge(DOWNLOAD, _reply(b""))).type == "empty"


# --- yes, but ---------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b" \r\n"], ids=["nothing", "white space"])
def test_an_empty_answer_is_enough_where_nothing_more_is_needed(body: bytes) -> None:
    """Deletes, repeatable writes and writes that promise nothing succeed without a body."""
    for operation in (DELETE, UPDATE, CLEAN):
        assert judge(operation, _reply(body)) == Verdict(True, 200, None)
    assert _success_of(_reply(body)) == (False, None, True)
    failure = _failure(judge(CREATE, _reply(body)))
    assert failure.type == "empty"
    assert "campaign.create promises one" in failure.message
    assert "not known" in failure.hint


def test_the_admin_page_is_a_failure_that_explains_itself() -> None:
    """Keitaro answers 200 with its admin page to a path that it does not know: nothing was done."""
    reply = Reply(200, HTML, ADMIN_PAGE.encode())
    assert _success_of(reply) == (False, False, False)
    failure = _failure(judge(CREATE, reply))
    assert failure.type == "not_json"
    assert "a web page where JSON belongs: 'Keitaro & Co'" in failure.message
    assert "path that it does not know" in failure.hint
    assert failure.response == ADMIN_PAGE


@pytest.mark.parametrize(
    "body",
    [
        *(b'{"id": 5, "na', b"OK", b"\x00\xff", b'{"id": NaN}', b"[" * 100_000),
        b"<br />\n<b>Warning</b>: something<br />\n" + b'{"id": 5}',
    ],
    ids=["cut", "text", "bytes", "NaN", "too deep", "PHP warning"],
)
def test_what_cannot_be_parsed_leaves_a_write_in_doubt(body: bytes) -> None:
    """The tracker said yes, so a write may well have happened; the text is kept."""
    reply = Reply(200, HTML, body)
    assert _success_of(reply) == (False, None, None)
    failure = _failure(judge(GET, reply))
    assert failure.type == "not_json"
    assert failure.response.startswith(body.decode("utf-8", "replace")[:1000])


def test_another_shape_leaves_a_write_in_doubt() -> None:
    """JSON of the wrong outer type names both types; a delete needs no shape."""
    reply = _reply([1])
    assert _success_of(reply) == (False, None, True)
    failure = _failure(judge(GET, reply))
    assert failure.type == "wrong_type"
    assert "array where campaign.get promises object" in failure.message
    assert failure.response == [1]
    assert (
        "boolean where"
        in _failure(judge(GET._replace(response={"type": "integer"}), _reply(True))).message
    )
    assert (
        "null where"
        in _failure(judge(GET._replace(response={"type": "integer"}), _reply(None))).message
    )


def test_an_error_in_a_2xx_is_an_error() -> None:
    """An object that holds an error and nothing else is no entity, whatever the status."""
    reply = _reply({"error": "no such thing", "stacktrace": None})
    assert _success_of(reply) == (False, False, False)
    assert "but with an error: no such thing" in _failure(judge(GET, reply)).message
    assert judge(GET, _reply({"error": "x", "id": 5})).success is True
    assert judge(GET, _reply({"error": None})).success is True


# --- no -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "kind", "told"),
    [
        (_reply({"error": "bad"}, 400), "bad_request", "finds the request wrong (400): bad"),
        (_reply({"error": "x"}, 401), "unauthorized", "does not accept the API key (401): x"),
        (_reply({"error": "x"}, 402), "payment_required", "not part of this tracker's edition"),
        (
            _reply({"error": "You have no permission", "stacktrace": None}, 403),
            "forbidden",
            "may not do this (403): You have no permission",
        ),
        (_reply(b"Not allowed in Demo", 403), "forbidden", "the demo tracker"),
        (_reply(b"Forbidden", 403, server="cloudflare"), "forbidden", "may not do this"),
        (
            _reply(rb"Traffic\Model\Campaign #1001 not found", 404),
            "not_found",
            r"does not have it (404): Traffic\Model\Campaign #1001 not found",
        ),
        (_reply({"error": "Campaign #7"}, 404), "not_found", "(404): Campaign #7"),
        (_reply(ADMIN_PAGE.encode(), 404), "not_found", "but not Keitaro's Admin API (404)"),
        (_reply(b"", 405), "bad_request", "finds the request wrong (405)"),
        (
            _reply({"alias": ["Alias is required"]}, 422),
            "invalid",
            "does not accept the values (422): alias: Alias is required",
        ),
        (
            _reply({"name": ["a", "b"], "url": "c", "n": [1], "o": {"p": ["q"]}}, 406),
            "invalid",
            "(406): name: a, b; url: c; n: 1; o: p: q",
        ),
        (_reply([[[[[[["x"]]]]]]], 422), "invalid", "(422): …"),
        (_reply({"message": "slow"}, 429, retry_after="3"), "rate_limited", "(Retry-After: 3)"),
        (_reply({"error": "boom"}, 500), "server_error", "the tracker failed (500): boom"),
        (_reply(b"", 507), "server_error", "the tracker failed (507)"),
        (_reply(ADMIN_PAGE.encode(), 502), "gateway", "got no proper answer (502)"),
        (_reply(b"", 503, retry_after="Wed"), "gateway", "not available (503), and says"),
        (_reply(b"", 504), "gateway", "gave up waiting (504)"),
        (_reply(b"error code: 522", 522), "gateway", "could not connect in time (522)"),
        (_reply(b"", 526), "gateway", "distrusts the server's certificate"),
        (_reply(b"", 530), "gateway", "does not find"),
        (_reply(b"", 301, location="https://new.example.com/"), "redirect", "https://new.example"),
        (_reply(b"", 304), "redirect", "nowhere in particular"),
        (_reply(b"", 101), "bad_request", "unexpected status (101)"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Reply) else "",
)
def test_each_refusal_has_its_type_and_its_words(reply: Reply, kind: str, told: str) -> None:
    """The type tells programs what happened; the message tells people, in the tracker's words."""
    failure = _failure(judge(GET, reply))
    assert failure.type == kind
    assert told in failure.message
    assert failure.status == reply.status


@pytest.mark.parametrize(
    "reply",
    [
        _reply(b"", 403, cf_mitigated="challenge"),
        _reply({"title": "Access denied", "error_code": 1010, "cloudflare_error": True}, 403),
        _reply({"error_code": 1010}, 403),
        _reply(b"error code: 1010", 403),
        Reply(403, {"server": "cloudflare", **HTML}, ADMIN_PAGE.encode()),
        Reply(503, {"server": "Cloudflare", **HTML}, ADMIN_PAGE.encode()),
    ],
    ids=["mitigated", "json", "code", "text", "page", "503"],
)
def test_cloudflare_is_recognised(reply: Reply) -> None:
    """Each of Cloudflare's ways to turn a client away is explained, with what helps."""
    failure = _failure(judge(CREATE, reply))
    assert failure.type == "cloudflare"
    for help_ in ("user_agent:", "resolve:", "allow-listed"):
        assert help_ in failure.hint
    assert judge(CREATE, reply).success is False


@pytest.mark.parametrize("status", [502, 504, 520, 521, 522, 523, 524])
def test_a_gateway_that_gave_up_leaves_a_write_in_doubt(status: int) -> None:
    """The gateway may have passed the request on, and the tracker may have done it."""
    reply = _reply(b"", status)
    assert _success_of(reply) == (False, None, None)
    assert "not known" in _failure(judge(CREATE, reply)).hint
    assert "not known" not in _failure(judge(GET, reply)).hint


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 422, 429, 500, 503, 525, 526])
def test_other_refusals_mean_that_nothing_was_done(status: int) -> None:
    """A tracker that says no has not written."""
    assert _success_of(_reply(b"", status)) == (False, False, False)


def test_a_long_text_is_cut_with_a_mark() -> None:
    """The response that is kept is bounded, and says how much is missing."""
    failure = _failure(judge(GET, _reply(b"x" * (RAW_LIMIT + 7), 500)))
    assert failure.response == "x" * RAW_LIMIT + "… [cut: 7 more characters]"
    assert len(failure.message) < 400


def test_a_message_holds_nothing_that_a_terminal_acts_on() -> None:
    """The tracker's words stand on one line, without escape sequences."""
    failure = _failure(judge(GET, _reply(b"a\x1b[31mb\r\n\tc", 500)))
    assert failure.message.endswith(": a [31mb c")


# --- nothing ------------------------------------------------------------------------------------


def _fault(*, sent: bool, status: int | None = None, body: bytes = b"") -> Fault:
    return Fault(FaultKind.TIMEOUT, "nothing came", "wait longer", sent, status, body)


def test_without_an_answer_a_write_is_in_doubt_if_it_was_sent() -> None:
    """Only where nothing can have reached the tracker is a write known not to have happened."""
    assert _success_of(_fault(sent=True)) == (False, None, None)
    assert _success_of(_fault(sent=False)) == (False, False, False)
    failure = _failure(judge(CREATE, _fault(sent=True)))
    assert (failure.type, failure.message) == ("timeout", "nothing came")
    assert failure.hint.startswith("wait longer; whether it was done is not known")
    assert failure.response is None


@pytest.mark.parametrize(
    ("status", "success"), [(200, None), (422, False), (404, False), (500, False), (502, None)]
)
def test_an_answer_that_broke_off_still_had_a_status(status: int, success: bool | None) -> None:
    """A refusal is one without the rest of its body; what had arrived is kept."""
    fault = _fault(sent=True, status=status, body=b'{"alias": ["Al\xff')
    verdict = judge(CREATE, fault)
    assert verdict.success is success
    assert _failure(verdict).response == '{"alias": ["Al\ufffd'
    assert judge(GET, fault).success is False


def test_every_kind_of_fault_is_a_type_of_failure() -> None:
    """The closed set of types holds the kinds of faults under the same names."""
    assert {kind.value for kind in FaultKind} <= {kind.value for kind in FailureType}


@pytest.mark.parametrize("status", [400, 406, 409, 422])
def test_what_the_call_takes_is_where_to_look(status: int) -> None:
    """A refusal of what was sent leads to what the call takes; another hint stays."""
    verdict = judge(CREATE, _reply({"error": "bad"}, status))
    assert verdict.error.hint == f"what it takes: keitaro-runner explain {CREATE}"
    assert "explain" not in judge(CREATE, _reply({"error": "bad"}, 404)).error.hint


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\r\n\t ", b"\xef\xbb\xbf\n"])
def test_what_stands_before_a_page(before: bytes) -> None:
    """A byte order mark, or blank lines, make it none the less a page: nothing was done by it."""
    reply = Reply(200, {}, before + b"<!DOCTYPE html><html><title>Keitaro</title></html>")
    assert Content(reply).is_page
    assert not Content(Reply(200, {}, before + b'{"a": "<html>"}')).is_page
