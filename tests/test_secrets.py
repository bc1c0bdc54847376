"""Canaries: secrets that must be nowhere, whatever goes wrong, wherever in a playbook it does.

Each fault of the emulator strikes at each call of a playbook that sends secrets in every way it
can; what it must lead to is checked on the way: the envelope, the exit code, what is sent again.
"""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Said, Start, calls, check_line
from drivers.client import Nursery

from runner import answers, retries, transport
from runner.cli import preparing
from runner.emulator import Emulator, Fault
from runner.execution import calls as calling
from runner.journal import Store
from runner.report.console import Console
from runner.transport import Limits

KEY = 'K3y"canary/+=%\\9f2c'
WORD = 'pass"ca näry+/=%25\\w0rd?&<ж>'
PIN = "4711-canary-0815"
CANARIES = {"key": KEY, "word": WORD, "pin": PIN}


def forms(secret: str) -> Iterator[bytes]:
    """How a secret may be written."""
    plain = secret.encode()
    yield plain
    yield json.dumps(secret)[1:-1].encode()
    yield json.dumps(secret, ensure_ascii=False)[1:-1].encode()
    yield json.dumps(json.dumps(secret))[3:-3].encode()
    yield repr(secret)[1:-1].encode()
    yield html.escape(secret).encode()
    for quote in (urllib.parse.quote, urllib.parse.quote_plus):
        yield quote(secret).encode()
        yield quote(secret, safe="").encode()
        yield quote(secret, safe="").lower().encode()
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + plain)
        # Without what stands before and after the secret.
        core = text[-(-8 * offset // 6) : 8 * (offset + len(plain)) // 6]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")


FORMS = {name: set(forms(secret)) for name, secret in CANARIES.items()}


@dataclass(slots=True)
class Cage:
    """A folder, a tracker with the key, and all that is written or said while canaries fly."""

    folder: Path
    tracker: Emulator
    cli: Command
    said: list[Said] = field(default_factory=list)

    def run(self, *args: str) -> Said:
        """Run the playbook, as talkative as it can be."""
        words = ("playbook.yaml", "--report", "report.jsonl", "--yes", "-vv")
        self.said.append(self.cli("run", *words, *args))
        return self.said[-1]

    @property
    def envelopes(self) -> list[dict[str, Any]]:
        """The report's."""
        lines = (self.folder / "report.jsonl").read_text(encoding="utf-8").splitlines()
        return [check_line(line) for line in lines if '"trailer":true' not in line]

    def sinks(self) -> Iterator[tuple[str, bytes]]:
        """Everything that was written, by name."""
        for number, said in enumerate(self.said):
            yield f"stdout {number}", said.out.encode()
            yield f"stderr {number}", said.err.encode()
        for path in self.folder.rglob("*"):
            if path.is_file() and path.name not in ("playbook.yaml", "kept.json"):
                yield str(path.relative_to(self.folder)), path.read_bytes()

    def check(self) -> None:
        """No canary got out, in any form; nor did a token of the tracker's own making."""
        tokens = [row["token"] for row in self.tracker.state.rows("campaigns")]
        more = {"token": {token.encode() for token in tokens}}
        for sink, content in self.sinks():
            for name, texts in (FORMS | more).items():
                for text in texts:
                    assert text not in content, f"{name} as {text!r} in {sink}"

    def clear(self) -> None:
        """As if nothing had been run."""
        self.said.clear()
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.name != "playbook.yaml":
                path.rmdir() if path.is_dir() else path.unlink()


@pytest.fixture
def cage(
    folder: Path, start: Start, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Cage]:
    """A factory of cages, each with a tracker of its own."""
    monkeypatch.setattr(retries, "BASE", 0.0)
    monkeypatch.setattr(transport, "Limits", lambda: Limits(body=1_000_000, patience=1.5))
    monkeypatch.setenv("WORD", WORD)
    monkeypatch.setenv("PIN", PIN)
    (folder / "playbook.yaml").write_text(PLAYBOOK, encoding="utf-8")

    def make() -> Cage:
        tracker = start(key=KEY, seed=SEED)
        monkeypatch.setenv("KEITARO_URL", tracker.url)
        monkeypatch.setenv("KEITARO_API_KEY", KEY)
        return Cage(folder, tracker, cli)

    return make


SEED = {"offers": [{"id": n, "name": f"Offer {n}"} for n in range(1, 5)]}
PLAYBOOK = """
version: 1
name: canaries
inputs:
  word: {type: string, secret: true, env: WORD}
  pin: {type: string, secret: true, env: PIN}
  open: {type: string, default: nothing}
vars: {both: "${{ inputs.word }}:${{ inputs.pin }}"}
defaults: {timeout: 20s, retry: 1}
steps:
  - name: user
    resource: user
    operation: create
    body: {login: buyer, type: USER, new_password: "${{ inputs.word }}",
           new_password_confirmation: "${{ inputs.word }}"}
  - name: campaign
    resource: campaign
    operation: create
    body: {name: "C ${{ inputs.pin }}", alias: c}
  - name: note
    resource: campaign
    operation: update
    id: ${{ steps.campaign.data.id }}
    body: {notes: "${{ steps.campaign.data.token }} ${{ vars.both }}"}
  - name: search
    resource: stream
    operation: search
    params: {query: "x ${{ inputs.word }}"}
  - name: odd
    resource: offer
    operation: update
    id: 1
    body: {notes: "${{ vars.both | urlencode }} ${{ [vars.both] | tojson }}"}
  - name: echo
    resource: offer
    operation: get
    id: 1
    expect: ["${{ data.notes != inputs.word }}"]
  - name: gone
    resource: offer
    operation: delete
    id: 2
"""
CREATES = ("user", "campaign")
READS = ("search", "echo")
ORDER = ("user", "campaign", "note", "search", "odd", "echo", "gone")

# What a tracker, or something before it, might say of what it was sent.
ECHO = " ".join(
    form
    for secret in (KEY, WORD, PIN)
    for form in (
        secret,
        urllib.parse.quote_plus(secret),
        base64.b64encode(secret.encode()).decode(),
    )
)
PAGE = f"<html><title>{html.escape(ECHO)}</title><pre>Api-Key: {html.escape(KEY)}</pre></html>"
SAID = {"error": f"no: {ECHO}", "stacktrace": ECHO, "api_key": KEY, "x": [{ECHO: 1}]}

# fault, kind of failure; the success of a create, of another write, of a delete; whether what is
# harmless is tried again, and whether a create is. A read that fails is false.
FAULTS: dict[str, tuple[Fault, str | None, Any, Any, Any, bool, bool]] = {
    "delay": (Fault("delay", seconds=2), "timeout", None, None, None, True, False),
    "400": (Fault("status", status=400, body=SAID), "bad_request", False, False, False, False,
            False),
    "401": (Fault("status", status=401, body=PAGE), "unauthorized", False, False, False, False,
            False),
    "402": (Fault("status", status=402, body=SAID), "payment_required", False, False, False, False,
            False),
    "403": (Fault("status", status=403, body=SAID), "forbidden", False, False, False, False, False),
    "404": (Fault("status", status=404, body=ECHO), "not_found", False, False, False, False, False),
    "406": (Fault("status", status=406, body={"name": [ECHO]}), "invalid", False, False, False,
            False, False),
    "422": (Fault("status", status=422, body={"name": [ECHO]}), "invalid", False, False, False,
            False, False),
    "429": (Fault("status", status=429, body=PAGE), "rate_limited", False, False, False, True,
            True),
    "500": (Fault("status", status=500, body=SAID), "server_error", False, False, False, False,
            False),
    "502": (Fault("status", status=502, body=PAGE), "gateway", None, None, None, True, False),
    "503": (Fault("status", status=503, body=PAGE), "gateway", False, False, False, True, False),
    "504": (Fault("status", status=504, body=PAGE), "gateway", None, None, None, True, False),
    "cloudflare": (
        Fault("status", status=403, body=PAGE, headers={"cf-mitigated": "challenge"}),
        "cloudflare", False, False, False, False, False,
    ),
    "200-error": (Fault("status", status=200, body={"error": ECHO}), "rejected", False, False,
                  False, False, False),
    "200-text": (Fault("status", status=200, body=ECHO), "not_json", None, None, None, False,
                 False),
    "reset_before": (Fault("reset_before"), "connection_lost", None, None, None, True, False),
    "reset_after": (Fault("reset_after"), "connection_lost", None, None, None, True, False),
    "truncate": (Fault("truncate"), "connection_lost", None, None, None, True, False),
    "cut_json": (Fault("cut_json"), "not_json", None, None, None, False, False),
    "html": (Fault("html"), "not_json", False, False, False, False, False),
    "empty": (Fault("empty"), "empty", None, True, True, False, False),
    "wrong_type": (Fault("wrong_type"), "wrong_type", None, None, True, False, False),
    "slow_drip": (Fault("slow_drip", seconds=0.5), "timeout", None, None, None, True, False),
    "huge": (Fault("huge", size=2_000_000), "too_large", None, None, None, False, False),
    "redirect": (Fault("redirect", location="https://x.invalid/" + urllib.parse.quote(ECHO)),
                 "redirect", False, False, False, False, False),
    "silent": (Fault("silent"), "timeout", None, None, None, True, False),
    "no_length_close": (Fault("no_length_close"), None, True, True, True, False, False),
}  # fmt: skip
UNUSABLE = ("unauthorized", "payment_required", "cloudflare")


def _struck(fault: Fault, position: int, times: int | None = 1) -> Fault:
    """The fault, at that call."""
    return Fault(**{**{name: getattr(fault, name) for name in Fault.__slots__},
                    "after": position, "times": times})  # fmt: skip


def test_without_faults(cage: Callable[[], Cage]) -> None:
    """Where nothing goes wrong the tracker has the secrets, and nobody else does."""
    it = cage()
    assert it.run().code == 0
    user, campaign, note, search, *_ = it.tracker.requests
    assert user.body["new_password"] == WORD
    assert campaign.body["name"] == f"C {PIN}"
    assert note.body["notes"].endswith(f" {WORD}:{PIN}")
    assert search.query == {"query": f"x {WORD}"}
    assert [e["step"] for e in it.envelopes] == list(ORDER)
    it.check()


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_at_every_call(cage: Callable[[], Cage], name: str) -> None:
    """Each fault at each call leads to the right envelope, exit code and tries, and tells nothing."""
    for position, step in enumerate(ORDER):
        it = cage()
        if name in ("delay", "silent", "slow_drip"):  # which take as long as they may
            text = PLAYBOOK.replace("timeout: 20s", "timeout: 300ms")
            (it.folder / "playbook.yaml").write_text(text, encoding="utf-8")
        it.tracker.fault(_struck(FAULTS[name][0], position))
        said = it.run()
        _check_struck(it, said, name, step)
        it.check()
        it.tracker.stop()
        it.clear()


def _check_struck(it: Cage, said: Said, name: str, step: str) -> None:
    _, kind, *successes, again, again_create = FAULTS[name]
    is_tried_again = again_create if step in CREATES else again
    envelope = next(e for e in it.envelopes if e["step"] == step)
    about = f"{name} at {step}: {envelope['error']}"
    if is_tried_again:
        # The second try was well: all is.
        assert (envelope["success"], envelope["attempts"], said.code) == (True, 2, 0), about
        assert len(calls(it.tracker)) == len(ORDER) + 1
        return
    success = _expected(name, step, successes)
    assert (envelope["success"], envelope["attempts"]) == (success, 1), about
    if success is True:
        assert said.code == 0
        return
    assert envelope["error"]["type"] == kind, about
    assert said.code == (5 if success is None else 4 if kind in UNUSABLE else 1)
    assert len(calls(it.tracker)) == ORDER.index(step) + 1
    states = Store(it.folder / ".keitaro").states()
    assert [run.doubts for run in states] == [(step,) if success is None else ()]


def _expected(name: str, step: str, successes: list[Any]) -> bool | None:
    create, write, destroy = successes
    if step in READS:
        return create is True  # as whole as a create's answer must be
    found = create if step in CREATES else destroy if step == "gone" else write
    return bool(found) if found is not None else None


LASTING = ("429", "503", "502", "reset_after", "reset_before")


@pytest.mark.parametrize("name", LASTING)
def test_trouble_that_lasts(cage: Callable[[], Cage], name: str) -> None:
    """Trouble that stays ends in the failure of the last try, after as many as were allowed."""
    for position, step in enumerate(ORDER):
        it = cage()
        it.tracker.fault(_struck(FAULTS[name][0], position, None))
        said = it.run()
        _, kind, *successes, again, again_create = FAULTS[name]
        tries = 2 if (again_create if step in CREATES else again) else 1
        envelope = it.envelopes[-1]
        assert (envelope["step"], envelope["attempts"]) == (step, tries)
        assert envelope["error"]["type"] == kind
        success = _expected(name, step, successes)
        assert envelope["success"] is success
        assert said.code == (5 if success is None else 1)
        it.check()
        it.tracker.stop()
        it.clear()


def test_one_try_lost_and_the_next_refused(cage: Callable[[], Cage]) -> None:
    """Where a try was lost and trouble keeps the next from being done, nothing is known."""
    it = cage()
    it.tracker.fault(Fault("reset_after", match="PUT .*/offers/1$"))
    it.tracker.fault(Fault("status", status=503, match="PUT .*/offers/1$", times=None))
    assert it.run().code == 5
    envelope = it.envelopes[-1]
    assert (envelope["success"], envelope["attempts"]) == (None, 2)
    it.tracker.clear_faults()
    assert it.run("--resume").code == 0


def test_a_delete_lost_and_found_gone(cage: Callable[[], Cage]) -> None:
    """A delete that was lost and, tried again, finds nothing is done."""
    it = cage()
    it.tracker.fault(Fault("reset_before", match="DELETE"))
    it.tracker.fault(Fault("status", status=404, match="DELETE"))
    assert it.run().code == 0
    assert it.envelopes[-1]["attempts"] == 2


# -- bugs -----------------------------------------------------------------------------------------


def _raise(*_: Any, **__: Any) -> Any:
    raise KeyError(f"{ECHO} {KEY!r}")


def _check_bug(it: Cage, said: Said) -> None:
    assert said.code in (1, 5)
    assert "a bug in keitaro-runner: KeyError" in said.err
    assert "Traceback" not in said.err
    assert "_raise" in said.err
    assert str(it.folder) not in said.err
    it.check()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_bug_in_a_call(
    cage: Callable[[], Cage], monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """A bug in the midst of a call is told without a secret; the call is in doubt, and goes on."""
    it = cage()
    text = PLAYBOOK.replace("    resource: user\n", f"    for_each: [1]\n    concurrency: {workers}\n"
                            "    resource: user\n")  # fmt: skip
    (it.folder / "playbook.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(calling, "judge", _raise)
    said = it.run()
    _check_bug(it, said)
    assert said.code == 5
    assert "1 unknown" in said.err
    monkeypatch.setattr(calling, "judge", answers.judge)
    assert it.run("--resume").code == 0
    assert len(it.tracker.state.rows("users")) == 2
    it.check()


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Console, "__call__"), (Console, "summary"), (preparing, "build"), (preparing, "check"),
     (calling, "build_request"), (transport.Transport, "_exchange")],
    ids=["sink", "summary", "plan", "validation", "request", "transport"],
)  # fmt: skip
def test_a_bug_anywhere(
    cage: Callable[[], Cage], monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    """Wherever a bug is, what it says is where, and no secret; the run can be continued."""
    it = cage()
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, _raise)
        _check_bug(it, it.run())
    if Store(it.folder / ".keitaro").states():
        assert it.run("--resume").code in (0, 2)
    it.check()


# -- bounds ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """One nursery for all."""
    with Nursery(tmp_path_factory.mktemp("nursery")) as started:
        yield started


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("huge", size=80_000_000), "too_large"),
        (Fault("gzip_bomb", size=300_000_000), "too_large"),
        (Fault("slow_drip", seconds=0.05), "timeout"),
        (Fault("redirect", location="/admin_api/v1/offers"), "redirect"),
    ],
    ids=["huge", "bomb", "drip", "redirect"],
)
def test_bounds(folder: Path, start: Start, nursery: Nursery, fault: Fault, kind: str) -> None:
    """An answer that has no end is cut and told, in bounded time and memory."""
    tracker = start(seed=SEED)
    tracker.fault(_struck(fault, 0, None))
    timeout = "200ms" if fault.kind == "slow_drip" else "20s"
    (folder / "playbook.yaml").write_text(
        f"version: 1\ndefaults: {{timeout: {timeout}, retry: 0}}\n"
        "steps: [{name: read, resource: offer, operation: getAll}]\n"
    )
    ended = nursery.run(
        "run", "playbook.yaml", "--report", "-",
        cwd=folder,
        environ={"KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key},
        memory=700_000_000,
    )  # fmt: skip
    assert ended.code == 1, ended.err
    envelope = check_line(ended.out.splitlines()[0])
    assert envelope["error"]["type"] == kind
    assert len(ended.out) < 200_000
    assert calls(tracker) == ["GET /offers"]


def test_what_a_body_in_a_file_with_a_computed_name_passes_on(cage: Callable[[], Cage]) -> None:
    """What it refers to is known late: till then all that answers hid is hidden elsewhere too."""
    it = cage()
    (it.folder / "b.json").write_text('{"name": "x ${{ steps.a.data.token }}", "alias": "z"}')
    text = """
version: 1
inputs: {which: {type: string, default: b}}
steps:
  - {name: a, resource: campaign, operation: create, body: {name: A, alias: a}}
  - {name: b, resource: campaign, operation: create, body_file: "${{ inputs.which }}.json"}
"""
    (it.folder / "playbook.yaml").write_text(text, encoding="utf-8")
    said = it.run()
    assert said.code == 0, said.err
    token = it.tracker.state.rows("campaigns")[0]["token"]
    assert it.tracker.state.rows("campaigns")[1]["name"] == f"x {token}"
    assert token not in (it.folder / "report.jsonl").read_text()
