"""The answers a tracker gives, refusals among them; knows neither routes nor sockets."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

JSON_TYPE = "application/json; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"

_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer: status, body as bytes, its type, and further headers as pairs."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()


def json_reply(value: Any, status: int = 200) -> Reply:
    """Return `value` as JSON; lists stay bare arrays, as the official specification has them."""
    return Reply(status, _encode(value).encode())


def text_reply(text: str, status: int) -> Reply:
    """Return plain text, which is how live trackers word a 404."""
    return Reply(status, text.encode(), TEXT_TYPE)


class RefusedError(Exception, ABC):
    """The tracker turns a request down; each kind below knows the answer it leads to."""

    @abstractmethod
    def reply(self, dialect: int) -> Reply:
        """Return the answer in this dialect (9: 2022, 10: newer)."""


class InvalidError(RefusedError):
    """Fields that do not pass: `{"field": ["message"]}`, 406 in dialect 9 and 422 in dialect 10."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__(str(errors))
        self.errors = {field: list(messages) for field, messages in errors.items()}

    @classmethod
    def of(cls, field: str, message: str) -> InvalidError:
        """Return the refusal of a single field for a single reason."""
        return cls({field: [message]})

    def reply(self, dialect: int) -> Reply:
        """Return the field map with the status this dialect uses."""
        return json_reply(self.errors, 406 if dialect < 10 else 422)


class MissingError(RefusedError):
    r"""No such entity: the text `Traffic\Model\Campaign #1001 not found`, seen on live trackers.

    Only the class of campaigns was seen; those of the other entities follow its pattern.
    """

    def __init__(self, model: str, key: object) -> None:
        super().__init__(f"Traffic\\Model\\{model} #{key} not found")

    def reply(self, dialect: int) -> Reply:  # noqa: ARG002 - the same in both dialects
        """Return 404 as text, although the specification declares JSON."""
        return text_reply(str(self), 404)


class ErrorAnswer(RefusedError):  # noqa: N818 - it is an answer first
    """A plain `{"error": message}` with the given status (400, 401, 402, 404, 500)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def reply(self, dialect: int) -> Reply:  # noqa: ARG002 - the same in both dialects
        """Return the error object that the specification declares."""
        return json_reply({"error": str(self)}, self.status)


class ForbiddenError(RefusedError):
    """The key's user lacks the right: 403 with an error and a null stack trace, seen live."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"You have no permission to access this page to {subject}")

    def reply(self, dialect: int) -> Reply:  # noqa: ARG002 - the same in both dialects
        """Return 403 in the shape seen on live trackers."""
        return json_reply({"error": str(self), "stacktrace": None}, 403)
