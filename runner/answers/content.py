"""The body of an answer, read as far as it can be: JSON, a web page, or text."""

from __future__ import annotations

import json
import re

from runner.answers.kinds import FailureType
from runner.compact import decode
from runner.model import Failure, Json, Reply

RAW_LIMIT = 64 * 1024  # characters of a raw text that a failure keeps
WORDS_LIMIT = 300  # characters of the tracker's own words in a message

_PAGE = re.compile(r"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_ABOUT_ERRORS = frozenset({"error", "message", "stacktrace", "stack", "trace", "code", "status"})


def _refuse(constant: str) -> None:
    """NaN and Infinity are no JSON, and would spoil the report that they end up in."""
    raise ValueError(constant)


_decode = json.JSONDecoder(parse_constant=_refuse).decode


def raw(text: str) -> str:
    """The text, cut at `RAW_LIMIT` characters with a mark that says how much is missing."""
    if len(text) <= RAW_LIMIT:
        return text
    return f"{text[:RAW_LIMIT]}… [cut: {len(text) - RAW_LIMIT} more characters]"


def excerpt(text: str) -> str:
    """The text on one line, short, and without anything that a terminal would act on."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[:4000]).split())
    return line if len(line) <= WORDS_LIMIT else f"{line[:WORDS_LIMIT]}…"


class Content:
    """A reply's body: `json` where `is_json`, and always `text`; each is worked out when asked."""

    # By hand what functools.cached_property does: in Python 3.11 that takes a lock each time.
    __slots__ = ("_body", "_known", "_text", "status")

    def __init__(self, reply: Reply) -> None:
        self.status = reply.status
        self._body = reply.body
        self._text: str | None = None
        self._known: tuple[bool, Json] | None = None

    @property
    def text(self) -> str:
        """The body as text: bytes that are not UTF-8 are replaced, a byte order mark is dropped."""
        if self._text is None:
            self._text = self._body.decode("utf-8", "replace").removeprefix("\ufeff")
        return self._text

    @property
    def is_blank(self) -> bool:
        """Whether nothing came but perhaps white space."""
        return not self._body or self._body.isspace()

    @property
    def is_page(self) -> bool:
        """Whether it is a whole web page, which the content type alone does not tell.

        PHP sends `text/html` unless told otherwise, and a PHP warning before JSON is HTML too.
        """
        return self._body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and bool(
            _PAGE.search(self.text[:2048])
        )

    def _parsed(self) -> tuple[bool, Json]:
        if self._known is None:
            try:
                self._known = True, decode(self._body, lambda: _decode(self.text))
            except (ValueError, RecursionError):
                self._known = False, None
        return self._known

    @property
    def is_json(self) -> bool:
        """Whether it can be parsed, whatever the content type says."""
        return self._parsed()[0]

    @property
    def json(self) -> Json:
        """What it says, `None` where it is not JSON."""
        return self._parsed()[1]

    @property
    def is_only_error(self) -> bool:
        """Whether it is an object that tells of an error and holds nothing else."""
        data = self.json
        return isinstance(data, dict) and bool(data.get("error")) and data.keys() <= _ABOUT_ERRORS

    @property
    def words(self) -> str:
        """What the tracker says in its own words, on one short line."""
        if self.is_page:
            import html  # noqa: PLC0415  (2 ms, and for pages only)

            title = _TITLE.search(self.text)
            return excerpt(html.unescape(title[1])) if title else ""
        return excerpt(_phrase(self.json) if self.is_json else self.text)

    def failure(self, kind: FailureType, message: str, hint: str = "") -> Failure:
        """A failure of that kind that keeps the response."""
        response = self.json if self.is_json else raw(self.text)
        return Failure(kind, message, hint, self.status, None if self.is_blank else response)


def _phrase(data: Json, depth: int = 5) -> str:
    """An error payload in words: its `error` or `message`, else its fields with their trouble."""
    if isinstance(data, str):
        return data
    if not depth:  # nobody means people to read what is nested deeper
        return "…"
    if isinstance(data, list):
        return ", ".join(_phrase(part, depth - 1) for part in data)
    if not isinstance(data, dict):
        return json.dumps(data)
    if said := data.get("error") or data.get("message"):
        return _phrase(said, depth - 1)
    return "; ".join(f"{field}: {_phrase(trouble, depth - 1)}" for field, trouble in data.items())
