"""The bot list, the system logs, and the labels that reports filter by."""

from __future__ import annotations

from runner.emulator import fields
from runner.emulator.answers import ErrorAnswer, InvalidError, MissingError, Reply
from runner.emulator.entities import crud
from runner.emulator.fields import Field, Kind, integer, text
from runner.emulator.routing import Call, Route, reads
from runner.emulator.state import Row

LOG_TYPES = ("system", "traffic", "postbacks", "ssl", "sent_postbacks")
LABELS = ("whitelist", "blacklist")


def _bots(call: Call) -> Row:
    return {"value": "\n".join(call.state.bots)}


def _set_bots(call: Call, bots: list[str]) -> Row:
    """Store the list without repetitions and answer how many addresses it now has."""
    call.state.bots = list(dict.fromkeys(bots))
    call.state.touch()
    return {"count": len(call.state.bots)}


def _given_bots(call: Call) -> list[str]:
    """Return the addresses sent, which whitespace of any kind separates."""
    value: str = fields.read([text("value", required=True)], call.body, partial=False)["value"]
    return value.split()


def _replace_bots(call: Call) -> Row:
    return _set_bots(call, _given_bots(call))


def _add_bots(call: Call) -> Row:
    return _set_bots(call, call.state.bots + _given_bots(call))


def _exclude_bots(call: Call) -> Row:
    gone = set(_given_bots(call))
    return _set_bots(call, [bot for bot in call.state.bots if bot not in gone])


def _clear_bots(call: Call) -> Reply:
    _set_bots(call, [])
    return Reply(200)


def _log_type(call: Call) -> str:
    if call.key not in LOG_TYPES:
        raise ErrorAnswer(400, f"Unknown log type {call.key}, use {', '.join(LOG_TYPES)}")
    return call.key


def _log(call: Call) -> list[Row]:
    """List a log, newest first: `limit` is required, `query` searches the messages."""
    rows = reversed(call.state.logs.get(_log_type(call), []))
    limit = crud.whole_number(call.required("limit"), "limit")
    offset = crud.whole_number(call.query.get("offset") or "0", "offset")
    wanted = call.query.get("query", "").lower()
    found = [row for row in rows if wanted in row["message"].lower()]
    return found[max(offset, 0) :][: max(limit, 0)]


def _clear_log(call: Call) -> Reply:
    call.state.logs[_log_type(call)] = []
    call.state.touch()
    return Reply(200)


def _log_types(call: Call) -> list[str]:  # noqa: ARG001 - a Handler
    return list(LOG_TYPES)


def _labels(call: Call) -> Row:
    """Return the labelled values of one reference, `{value: label}` (the keys are an inference)."""
    campaign_id = crud.whole_number(call.required("campaign_id"), "campaign_id")
    label, reference = call.required("label_name"), call.required("ref_name")
    _check_campaign(call, campaign_id)
    held = call.state.labels.get((campaign_id, reference), {})
    return {value: name for value, name in held.items() if name == label}


def _set_labels(call: Call) -> Row:
    """Label values; an empty label takes one away."""
    spec = [integer("campaign_id", required=True), text("ref_name", required=True)]
    items = Field("items", Kind.OBJECT, {}, required=True)
    given = fields.read([*spec, items], call.body, partial=False)
    _check_campaign(call, given["campaign_id"])
    wrong = [label for label in given["items"].values() if label and label not in LABELS]
    if wrong:
        raise InvalidError.of(
            "items", f"Items have unknown labels {wrong}, use {', '.join(LABELS)}"
        )
    held = call.state.labels.setdefault((given["campaign_id"], given["ref_name"]), {})
    held.update(given["items"])
    for value in [value for value, label in held.items() if not label]:
        del held[value]
    call.state.touch()
    return {"success": True}


def _check_campaign(call: Call, campaign_id: int) -> None:
    known = call.state.tables["campaigns"].get(campaign_id)
    if known is None or not call.rights.sees("campaigns", known):
        raise MissingError("Campaign", campaign_id)


ROUTES = [
    reads("GET", "/botlist", _bots),
    Route("PUT", "/botlist", _replace_bots),
    Route("DELETE", "/botlist", _clear_bots),
    Route("POST", "/botlist/add", _add_bots),
    Route("POST", "/botlist/exclude", _exclude_bots),
    # POST by the specification, although it reads; GET is what one client sends.
    reads("POST", "/logs/types", _log_types),
    reads("GET", "/logs/types", _log_types),
    reads("GET", "/logs/{type}", _log),
    Route("DELETE", "/logs/{type}", _clear_log),
    reads("GET", "/report/labels", _labels),
    Route("POST", "/report/labels", _set_labels),
]
