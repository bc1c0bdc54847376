"""Random bytes, random YAML, good playbooks spoiled: never a traceback, always a place, soon.

`KEITARO_RUNNER_FUZZ=5000` tries that many of each, other ones each time.
"""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Command, Said
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runner import retries
from runner.emulator import Emulator, sample_seed
from runner.session import SystemClock

MANY = int(os.environ.get("KEITARO_RUNNER_FUZZ", "0"))
SECONDS = 1.0  # of this process's own time, so that what else the machine does is not counted
MEGABYTES = 200

FUZZED = settings(
    max_examples=MANY or 150,
    derandomize=not MANY,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

_PLACE = re.compile(r"^p\.yaml:[1-9]\d*:[1-9]\d*: (error|warning) \w+: .", re.MULTILINE)


@pytest.fixture
def check(folder: Path, cli: Command) -> Any:
    """Runs a command on a playbook of these bytes, and holds it to what is promised."""

    def go(content: bytes, *words: str) -> Said:
        (folder / "p.yaml").write_bytes(content)
        before = _peak()
        said, seconds = _timed(cli, words)
        if seconds > SECONDS:  # once more: collecting garbage may have come in between
            seconds = _timed(cli, words)[1]
        assert seconds < SECONDS
        assert _peak() - before < MEGABYTES * 1024
        assert said.code in (0, 1, 2, 3, 4, 5)
        told = said.out + said.err
        assert "Traceback" not in told
        assert "a bug in" not in told
        if said.code == 3:
            assert _PLACE.search(told), told
        return said

    return go


def _timed(cli: Command, words: tuple[str, ...]) -> tuple[Said, float]:
    began = time.process_time()
    said = cli(*words)
    return said, time.process_time() - began


def _peak() -> int:
    """Kilobytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture
def wide(check: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs a playbook of these bytes on a tracker, where waiting takes no time."""
    monkeypatch.setattr(SystemClock, "sleep", lambda *_: None)
    monkeypatch.setattr(SystemClock, "monotonic", lambda _: next(ticks))
    monkeypatch.setattr(retries, "BASE", 0.0)
    ticks = iter(range(0, 10**15, 10**6))
    with Emulator(seed=sample_seed()) as tracker:
        monkeypatch.setenv("KEITARO_URL", tracker.url)
        monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
        words = ("run", "p.yaml", "--yes", "--report", "r.jsonl", "--state-dir", "state")
        yield lambda content: check(content, *words)


# -- validate -------------------------------------------------------------------------------------


@given(st.binary(max_size=400))
@example(b"")
@example(b"\xef\xbb\xbf")
@example(b"\xff\xfes\x00t\x00")
@example(b"version: 1\nsteps: \x00")
@example(b"\x85\xc2\x85\xe2\x80\xa8")
@example(b"[" * 3000)
@example(b"- " * 3000)
@example(b"? " * 3000)
@example(b"{a: " * 3000)
@example(b"!!python/object/apply:os.system [id]")
@example(b"%YAML 9.9\n---\nversion: 1")
@example(b"version: 1\nsteps: &a [*a]")
@example(b"version: 1\nsteps: &a {name: *a}")
@example(b"a: &a [1]\n" + b"".join(b"b%d: &b%d [*a, *a]\n" % (n, n) for n in range(3000)))
@example(b"version: 1\nsteps: [" + b"{set: {a: 1}}, " * 5_000 + b"]")
@example(b"version: " + b"9" * 5000)
@example(b"version: 1\nsteps: [{name: a, set: {a: " + b"1e" * 9 + b"999999}}]")
@FUZZED
def test_bytes(check: Any, content: bytes) -> None:
    """Any bytes at all are a playbook, or have a mistake with a place."""
    assert check(content, "validate", "p.yaml").code in (0, 3)


WORDS = st.sampled_from(
    ["version", "name", "steps", "resource", "operation", "id", "params", "body", "body_file",
     "when", "for_each", "as", "concurrency", "include", "inputs", "set", "expect", "until",
     "every", "attempts", "retry", "timeout", "on_error", "tracker", "save", "defaults", "finally",
     "outputs", "vars", "lint", "raw", "offer", "campaign", "create", "getAll", "delete", "stats",
     "${{ item }}", "${{ steps.a.data.id }}", "${{", "}}", "${{ 1 +", "${{ a.b.c[0]['x'] }}",
     "<<", "null", "~", "true", "NO", "0o7", "1e999", ".inf", "2026-01-01", "\u0000", "\u2028", "日本"]
)  # fmt: skip
VALUES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)
STEPS = st.fixed_dictionaries(
    {}, optional={"name": WORDS, "resource": WORDS, "operation": WORDS, "id": VALUES,
                  "body": VALUES, "for_each": VALUES, "set": VALUES, "steps": VALUES,
                  "when": VALUES, "expect": VALUES, "include": WORDS, "save": VALUES}
)  # fmt: skip
DOCUMENTS = VALUES | st.fixed_dictionaries(
    {"version": st.just(1) | VALUES, "steps": st.lists(STEPS, max_size=4) | VALUES},
    optional={"inputs": VALUES, "vars": VALUES, "outputs": VALUES, "finally": VALUES,
              "defaults": VALUES, "name": VALUES},
)  # fmt: skip


@given(DOCUMENTS, st.booleans())
@FUZZED
def test_yaml(check: Any, document: Any, flow: bool) -> None:
    """Any YAML at all is a playbook, or has a mistake with a place."""
    text = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True)
    assert check(text.encode("utf-8", "replace"), "validate", "p.yaml").code in (0, 3)


# -- good playbooks, spoiled ----------------------------------------------------------------------

GOOD = b"""
version: 1
name: good
inputs:
  country: {type: string, default: DE}
  list: {type: array, default: [1, 2]}
vars: {alias: "a-${{ inputs.country | lower }}"}
defaults: {retry: 1}
steps:
  - name: offers
    resource: offer
    operation: getAll
    expect: ["${{ data | length > 1 }}"]
  - name: campaign
    resource: campaign
    operation: create
    body: {name: "C ${{ inputs.country }}", alias: "${{ vars.alias }}"}
  - name: flow
    resource: stream
    operation: create
    body:
      campaign_id: ${{ steps.campaign.data.id }}
      type: regular
      schema: landings
      action_type: http
      name: Main
      collect_clicks: true
      offers: [{offer_id: "${{ steps.offers.data[0].id }}", share: 100, state: active}]
  - name: each
    for_each: ${{ inputs.list }}
    concurrency: 2
    when: ${{ item > 0 }}
    steps:
      - {name: note, resource: offer, operation: update, id: "${{ item }}",
         body: {notes: "${{ index }} of ${{ steps.offers.count }}"}}
      - name: wait
        resource: offer
        operation: get
        id: ${{ item }}
        until: ${{ data.id == item }}
        every: 1s
        attempts: 3
  - name: sums
    set: {ids: "${{ steps.offers.data | pluck('id') }}", n: 1.50}
    save: {to: out.json}
finally:
  - {name: gone, resource: campaign, operation: delete, id: "${{ steps.campaign.data.id }}"}
outputs: {n: "${{ steps.sums.values.n }}"}
"""
GOODS = [GOOD, *(p.read_bytes() for p in sorted((ROOT / "playbooks").glob("*.yaml")))]

TOKENS = st.sampled_from(
    [b":", b": ", b"- ", b"\n", b"\n  ", b"\t", b"#", b"{", b"}", b"[", b"]", b"&a ", b"*a", b"!",
     b"!!int ", b"|", b">", b"'", b'"', b"%", b"@", b"`", b"<<: ", b"${{ ", b" }}", b"${{ x }}",
     b"$${{", b"\x00", b"\xff", b"\xc3\xa9", b"null", b"~", b"-1", b"1e400", b"99999999999999999999",
     b"for_each: ", b"when: ", b"include: p.yaml\n", b"steps:", b"range(10**9)", b" | ", b"__class__",
     b"'a' * 10**9", b"[[1] * 9999] * 9999", b"---\n", b"...\n", b"? "]
)  # fmt: skip
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["cut", "double", "put", "swap"]),
        st.floats(0, 1, exclude_max=True), st.integers(1, 30), TOKENS,
    ),
    min_size=1, max_size=4,
)  # fmt: skip


def spoil(content: bytes, changes: list[tuple[str, float, int, bytes]]) -> bytes:
    """A playbook with a few bytes cut, doubled, put in or swapped."""
    for what, where, length, token in changes:
        at = int(where * len(content))
        head, part, tail = content[:at], content[at : at + length], content[at + length :]
        new = {"cut": b"", "double": part * 2, "put": token + part, "swap": part[::-1]}[what]
        content = head + new + tail
    return content


@given(st.sampled_from(GOODS), CHANGES)
@FUZZED
def test_spoiled(check: Any, good: bytes, changes: Any) -> None:
    """A good playbook that is spoiled is one, or has a mistake with a place."""
    assert check(spoil(good, changes), "validate", "p.yaml").code in (0, 3)


@given(CHANGES)
@example([])
@FUZZED
def test_spoiled_and_run(wide: Any, changes: Any) -> None:
    """A good playbook that is spoiled runs, fails with words, or is refused with a place."""
    wide(spoil(GOOD, changes))


def test_what_is_not_spoiled(wide: Any, folder: Path) -> None:
    """The good playbook is good."""
    said = wide(GOOD)
    assert said.code == 0, said.err
    assert (folder / "out.json").exists()
