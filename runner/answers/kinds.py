"""What may come of a call, of the `error.type` of envelopes: names are added, never changed."""

from __future__ import annotations

from enum import StrEnum


class FailureType(StrEnum):
    """Why a call failed that was sent, or is in doubt."""

    # The tracker answered, and refused.
    UNAUTHORIZED = "unauthorized"  # 401: no such key
    PAYMENT_REQUIRED = "payment_required"  # 402: an edition without the Admin API
    FORBIDDEN = "forbidden"  # 403: the key's user may not, or the tracker is the demo
    NOT_FOUND = "not_found"  # 404: no such entity, or no such page
    INVALID = "invalid"  # 406, 422: fields with what is wrong with them
    BAD_REQUEST = "bad_request"  # 400, and any 4xx without a name here
    RATE_LIMITED = "rate_limited"  # 429
    REJECTED = "rejected"  # 2xx, with nothing but an error in it

    # The tracker failed, or something before it answered in its place.
    SERVER_ERROR = "server_error"  # 500, and any 5xx without a name here
    GATEWAY = "gateway"  # 502, 503, 504, Cloudflare's 520 to 530
    CLOUDFLARE = "cloudflare"  # Cloudflare takes the runner for a bot
    REDIRECT = "redirect"  # 3xx, never followed

    # The tracker said yes, and what came with it is not what was promised.
    NOT_JSON = "not_json"
    WRONG_TYPE = "wrong_type"
    EMPTY = "empty"

    # No whole answer came: the values of `FaultKind`.
    CONNECTION_REFUSED = "connection_refused"
    NAME_NOT_FOUND = "name_not_found"
    CANNOT_CONNECT = "cannot_connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    PROTOCOL = "protocol"
    TOO_LARGE = "too_large"
