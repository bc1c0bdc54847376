"""Runs that are killed, wherever and whenever: nothing is done twice, nothing is lost.

`KEITARO_RUNNER_KILLS=300` kills at every boundary of every write, and at that many instants; the
normal suite takes a sample of both. What is counted is said at the end.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import check_line
from drivers.boundaries import ARRIVED, DONE, DOUBT, OF_RUNS, OF_WRITES, UNSENT
from drivers.client import Ended, Nursery

from runner.emulator import Emulator, Received
from runner.journal import Store
from runner.trackers.tracker import TRANSPORTS

KILLS = int(os.environ.get("KEITARO_RUNNER_KILLS", "0"))

PLAYBOOK = """
version: 1
name: survival
inputs:
  campaigns: {type: array, default: [A, B, C, D]}
  reader: {type: string, secret: true, env: READER}
vars: {size: "${{ inputs.campaigns | length }}"}
steps:
  - {name: network, resource: affiliateNetwork, operation: create, body: {name: Network}}
  - {name: group, resource: group, operation: create, body: {name: Group, type: campaigns}}
  - {name: sizes, set: {half: "${{ vars.size // 2 }}", note: "${{ steps.network.data.name }}!"}}
  - name: seen
    resource: offer
    operation: getAll
    until: ${{ data | length > 4 }}
    every: 1ms
  - name: per
    for_each: ${{ inputs.campaigns }}
    as: letter
    concurrency: 3
    steps:
      - name: campaign
        resource: campaign
        operation: create
        body: {name: "Campaign ${{ letter }}", alias: "alias-${{ letter }}",
               group_id: "${{ steps.group.data.id }}"}
      - name: flow
        resource: stream
        operation: create
        body: {campaign_id: "${{ steps.campaign.data.id }}", type: regular, schema: redirect,
               action_type: http, name: "Flow ${{ letter }}", collect_clicks: true}
      - name: tune
        resource: campaign
        operation: update
        id: ${{ steps.campaign.data.id }}
        body: {notes: "of ${{ letter }}: ${{ steps.campaign.data.token }}"}
      - name: odd
        when: ${{ letter in ['A', 'C'] }}
        resource: campaign
        operation: disable
        id: ${{ steps.campaign.data.id }}
  - name: rest
    steps:
      - name: copies
        for_each: [1, 2, 3]
        resource: offer
        operation: clone
        id: ${{ item }}
      - name: gone
        for_each: ${{ steps.copies.results | pluck('data.id') }}
        resource: offer
        operation: delete
        id: ${{ item }}
  - name: child
    include: child.yaml
    inputs: {network: "${{ steps.network.data.id }}", password: "${{ inputs.reader }}"}
  - name: closing
    resource: offer
    operation: update
    id: 4
    body: {notes: "${{ steps.child.outputs.offer }} ${{ steps.sizes.values.half }}"}
finally:
  - {name: mark, resource: offer, operation: update, id: 5, body: {notes: over}}
  - {name: sweep, resource: offer, operation: delete, id: 6}
"""
CHILD = """
version: 1
inputs: {network: {type: integer}, password: {type: string, secret: true}}
steps:
  - name: offer
    resource: offer
    operation: create
    body: {name: Offer of the child, affiliate_network_id: "${{ inputs.network }}",
           notes: "${{ inputs.password }}"}
  - name: twin
    resource: affiliateNetwork
    operation: clone
    id: ${{ inputs.network }}
finally:
  - name: tidy
    resource: affiliateNetwork
    operation: update
    id: ${{ inputs.network }}
    body: {notes: tidy}
outputs: {offer: "${{ steps.offer.data.name }}"}
"""
SEED = {"offers": [{"id": n, "name": f"Seeded {n}"} for n in range(1, 7)]}
SECRET = "canary/+=secret"
# No natural key, and not harmless to repeat: a person is asked.
ASKED = ("stream.create", "offer.create", "offer.clone", "affiliateNetwork.clone")

TABLES = {"campaign_id": "campaigns", "group_id": "groups",
          "affiliate_network_id": "affiliate_networks", "offer_id": "offers"}  # fmt: skip
_PATH = re.compile(r"/admin_api/v1/(\w+)(?:/(\d+))?(.*)")


# -- what was sent, told without ids ----------------------------------------------------------


class Names:
    """Entities by id, for saying what a request was about in every run alike."""

    def __init__(self, tracker: Emulator) -> None:
        self._names = {
            (table, row["id"]): f"{row['name']}"
            for table in ("campaigns", "groups", "affiliate_networks", "offers", "streams")
            for row in tracker.state.rows(table)
        }
        self._tokens = {row["token"] for row in tracker.state.rows("campaigns")}

    def signature(self, method: str, path: str, body: Any) -> str:
        """A request, ids replaced by names."""
        found = _PATH.match(path)
        assert found, path
        table, entity, rest = found.groups()
        what = self._names.get((table, int(entity)), entity) if entity else ""
        return f"{method} {table} {what} {rest} {json.dumps(self._named(body), sort_keys=True)}"

    def _named(self, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        return {
            key: self._names.get((TABLES[key], value), value) if key in TABLES
            else self._masked(value)
            for key, value in body.items()
        }  # fmt: skip

    def _masked(self, value: Any) -> Any:
        for secret in (*self._tokens, SECRET):
            value = value.replace(secret, "***") if isinstance(value, str) else value
        return value

    def of(self, received: Received) -> str:
        """The signature of what arrived."""
        return self.signature(received.method, received.path, received.body)


@dataclass(slots=True)
class Journal:
    """What a journal says, read without the runner's own reader."""

    states: dict[str, str] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, state: Path) -> Journal:
        """The journal of the one run in a state folder."""
        found = cls()
        for path in state.glob("runs/*/journal.jsonl"):
            for line in path.read_bytes().split(b"\n")[:-1]:
                found._take(json.loads(line))
        return found

    def _take(self, record: dict[str, Any]) -> None:
        key = record.get("key")
        if record["record"] == "intent":
            self.before[key] = self.states.get(key, UNSENT)
            self.states[key] = DOUBT
            self.calls[key] = record["call"]
            self.requests[key] = record["request"]
        elif record["record"] == "outcome" and record["envelope"]["success"] is not None:
            unsent = not record["envelope"]["success"] and not record["envelope"]["attempts"]
            self.states[key] = self.before.get(key, UNSENT) if unsent else DONE

    @property
    def doubts(self) -> set[str]:
        """The keys of calls with an intent and no outcome."""
        return {key for key, state in self.states.items() if state == DOUBT}


# -- one run, killed and continued ------------------------------------------------------------


class Figures:
    """What the whole module counted."""

    def __init__(self) -> None:
        self.kills = self.doubles = self.losses = self.doubts = self.asked = 0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills: {self.doubles} doubles, {self.losses} losses "
            f"({self.doubts} calls in doubt, {self.asked} of them asked about)"
        )


@dataclass(slots=True)
class World:
    """A tracker, a folder with the playbook, and the run that goes on in it."""

    folder: Path
    tracker: Emulator
    nursery: Nursery
    figures: Figures
    keys: dict[str, str]
    sent: int = 0
    jobs: int = 1
    transport: str = TRANSPORTS[0]
    again: tuple[str, ...] = ()  # keys of what a run does at the end of each of its parts

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / ".keitaro"

    def start(self, *args: str, **death: Any) -> Ended:
        """Run the playbook, from its beginning or, where there is a journal, onwards."""
        journal = Journal.read(self.state)
        doubts = sorted(key for key in journal.doubts if journal.calls[key] in ASKED)
        words = [f"--in-doubt={key}={self._truth(journal, key)}" for key in doubts]
        begun = any(p.stat().st_size for p in self.state.glob("runs/*/journal.jsonl"))
        if begun and doubts:
            self._is_asked(doubts)
        self.figures.asked += len(doubts)
        environ = {
            "KEITARO_URL": self.tracker.url,
            "KEITARO_API_KEY": self.tracker.key,
            "READER": SECRET,
            "KEITARO_TRANSPORT": self.transport,
        }
        resume = ["--resume"] if begun and _whole(self.state) else []
        ended = self.nursery.run(
            "run", "playbook.yaml", "--yes", "--report", "report.jsonl", f"--jobs={self.jobs}",
            *resume, *words, *args,
            cwd=self.folder, environ=environ, **death,
        )  # fmt: skip
        self._settle()
        self._check_part(journal)
        if ended.code == -9:
            self.figures.kills += 1
            self.figures.doubts += len(Journal.read(self.state).doubts)
        return ended

    def _is_asked(self, doubts: list[str]) -> None:
        """What is in doubt and cannot be settled is what `runs` says, and no more."""
        (listed,) = [run for run in Store(self.state).states() if run.state == "in doubt"]
        assert set(doubts) <= set(listed.doubts)
        assert set(listed.doubts) == Journal.read(self.state).doubts

    def _truth(self, journal: Journal, key: str) -> str:
        """What a person would find on the tracker."""
        names = Names(self.tracker)
        request = journal.requests[key]
        path = request["url"].removeprefix(self.tracker.url)
        wanted = names.signature(request["method"], path, request["body"])
        if not any(names.of(r) == wanted and r.effect for r in self.tracker.requests):
            return "retry"
        table = {"stream": "streams", "offer": "offers"}.get(
            journal.calls[key].split(".")[0], "affiliate_networks"
        )
        body = request["body"] or {}
        name = body.get("name")
        if name is None:
            original = int(path.split("/")[-2])
            rows = {row["id"]: row["name"] for row in self.tracker.state.rows(table)}
            name = f"Copy of {rows[original]}"
        (entity,) = [r["id"] for r in self.tracker.state.rows(table) if r["name"] == name]
        return f"id:{entity}"

    def _settle(self) -> None:
        """Wait until the tracker has taken all that a dead process had sent."""
        limit = time.monotonic() + 5
        while self.tracker._open and time.monotonic() < limit:
            time.sleep(0.001)

    def _check_part(self, before: Journal) -> None:
        """What arrived in this part: nothing that was known to be done, nothing unannounced."""
        names, after = Names(self.tracker), Journal.read(self.state)
        arrived = [r for r in self.tracker.requests[self.sent :] if r.method != "GET"]
        self.sent = len(self.tracker.requests)
        for received in arrived:
            key = self.keys.get(names.of(received))
            assert key is not None, f"never meant: {names.of(received)}"
            if before.states.get(key) == DONE and key not in self.again:
                self.figures.doubles += 1
                pytest.fail(f"{key} was done, and sent again")
            assert key in after.states, f"{key} was sent, and never written down"
        twice = [key for key, n in Counter(map(names.of, arrived)).items() if n > 1]
        assert not twice, [(r.method, r.path, r.status, r.body) for r in arrived]

    @property
    def is_done(self) -> bool:
        """Whether the run has noted its end: what kills the process then does no harm."""
        return [run.state for run in Store(self.state).states()] == ["done"]

    def finish(self) -> None:
        """Go on until the end."""
        for _ in range(4):
            if self.is_done:
                return
            ended = self.start()
            assert ended.code in (0, 5), ended.err
        raise AssertionError("it never ended")

    def check_end(self) -> None:
        """Each write arrived; what may not be repeated took effect once; the report is whole."""
        names = Names(self.tracker)
        arrived = Counter(names.of(r) for r in self.tracker.requests if r.method != "GET")
        effects = Counter(names.of(r) for r in self.tracker.requests if r.effect)
        lost = [key for signature, key in self.keys.items() if not arrived[signature]]
        self.figures.losses += len(lost)
        assert not lost
        calls = Journal.read(self.state).calls
        for signature, key in self.keys.items():
            repeatable = calls[key].endswith(("update", "delete", "disable"))
            assert repeatable or effects[signature] == 1, signature
        lines = (self.folder / "report.jsonl").read_text().splitlines()
        envelopes = [check_line(line) for line in lines if '"trailer":true' not in line]
        assert [e["seq"] for e in envelopes] == sorted({e["seq"] for e in envelopes})
        assert SECRET not in "".join(lines)
        self._check_content()

    def _check_content(self) -> None:
        """The tracker is as an undisturbed run leaves it."""
        state = self.tracker.state
        campaigns = {row["name"]: row for row in state.rows("campaigns")}
        assert sorted(campaigns) == [f"Campaign {letter}" for letter in "ABCD"]
        for letter in "ABCD":
            row = campaigns[f"Campaign {letter}"]
            assert row["notes"] == f"of {letter}: {row['token']}"
            assert row["state"] == ("disabled" if letter in "AC" else "active")
        notes = {row["name"]: row.get("notes") for row in state.rows("offers")}
        assert notes["Seeded 4"] == "Offer of the child 2"
        assert notes["Offer of the child"] == SECRET


def _whole(state: Path) -> bool:
    """Whether the run came to its first record."""
    return any(b"\n" in p.read_bytes() for p in state.glob("runs/*/journal.jsonl"))


# -- fixtures -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    """The counts, said once all tests here are done."""
    counted = Figures()
    yield counted
    # To stderr, which the workers of xdist share with the terminal.
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        sys.stderr.write(f"\nsurvival: {counted}\n")
    assert (counted.doubles, counted.losses) == (0, 0)


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """One nursery for all."""
    with Nursery(tmp_path_factory.mktemp("nursery")) as started:
        yield started


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> dict[str, str]:
    """What an undisturbed run sends, each write with the key it has in the journal."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with Emulator(seed=SEED) as tracker:
        world = _world(folder, tracker, nursery, Figures(), {})
        environ = {"KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key, "READER": SECRET}
        ended = nursery.run("run", "playbook.yaml", "--yes", cwd=folder, environ=environ)
        assert ended.code == 0, ended.err
        names, journal = Names(tracker), Journal.read(world.state)
        found = {
            names.signature(r["method"], r["url"].removeprefix(tracker.url), r["body"]): key
            for key, r in journal.requests.items()
        }
        sent = Counter(names.of(r) for r in tracker.requests if r.method != "GET")
        assert sent == dict.fromkeys(found, 1)
        assert set(journal.states.values()) == {DONE}
        return found


def _world(
    folder: Path, tracker: Emulator, nursery: Nursery, figures: Figures, keys: dict[str, str]
) -> World:
    (folder / "playbook.yaml").write_text(PLAYBOOK)
    (folder / "child.yaml").write_text(CHILD)
    return World(folder, tracker, nursery, figures, keys)


@pytest.fixture
def world(
    tmp_path: Path, nursery: Nursery, figures: Figures, keys: dict[str, str]
) -> Iterator[World]:
    """A fresh tracker, and the playbook."""
    with Emulator(seed=SEED) as tracker:
        yield _world(tmp_path, tracker, nursery, figures, keys)


# -- tests ----------------------------------------------------------------------------------------

WRITES = 4 + 4 * 3 + 2 + 3 + 3 + 3 + 1  # the playbook's, for positions
CARRIERS = TRANSPORTS if find_spec("pycurl") else TRANSPORTS[:1]
POSITIONS = range(1, WRITES + 1) if KILLS else (2, 14)


@pytest.mark.parametrize("nth", POSITIONS)
@pytest.mark.parametrize("boundary", OF_WRITES)
def test_killed_at_a_boundary(world: World, boundary: str, nth: int) -> None:
    """A process that is killed at a boundary of a write leaves in the journal what is true."""
    at = list(OF_WRITES).index(boundary)
    if not KILLS:
        nth += at % 6  # another position for each
    if boundary != "half-request":  # libcurl sends these in one piece
        world.transport = CARRIERS[(at + nth // 2) % len(CARRIERS)]
    ended = world.start(boundary=boundary, nth=nth)
    assert ended.code == -9, ended.err
    assert ended.tomb is not None
    journal, names = Journal.read(world.state), Names(world.tracker)
    assert journal.states.get(ended.tomb, UNSENT) == OF_WRITES[boundary]
    signature = next(s for s, key in world.keys.items() if key == ended.tomb)
    arrived = [names.of(r) for r in world.tracker.requests]
    expected = boundary in ARRIVED or OF_WRITES[boundary] == DONE
    assert (signature in arrived) is expected
    world.finish()
    world.check_end()


@pytest.mark.parametrize("boundary", OF_RUNS)
def test_killed_at_the_ends(world: World, boundary: str) -> None:
    """So it is at the beginning and the end of a run, and of its next part."""
    if boundary == "before-resume":
        world.start(boundary="after-intent", nth=5)
    ended = world.start(boundary=boundary, nth=1)
    assert ended.code == -9, ended.err
    assert world.is_done is (boundary == "after-end")
    world.finish()
    world.check_end()


@pytest.mark.parametrize("seed", range(KILLS or 10))
def test_killed_at_any_instant(world: World, seed: int) -> None:
    """A run that is killed at random, and again while it goes on, ends as if it never was."""
    chance = random.Random(seed)
    world.jobs = chance.choice([1, 4])
    world.transport = chance.choice(CARRIERS)
    for _ in range(chance.randint(1, 4)):
        if not world.is_done:
            ended = world.start(signals=[[chance.uniform(0.0, 0.45), signal.SIGKILL]])
            assert ended.code in (-9, 0, 5), ended.err
    world.finish()
    world.check_end()


@pytest.mark.parametrize("seed", range(KILLS or 6))
def test_stopped_at_any_instant(world: World, seed: int) -> None:
    """A run that is asked to stop leaves nothing in doubt; asked twice, only what was in flight."""
    chance = random.Random(seed)
    world.transport = chance.choice(CARRIERS)
    world.again = ("mark", "sweep", "child.tidy")
    for _ in range(chance.randint(1, 3)):
        if world.is_done:
            break
        times = [chance.uniform(0.05, 0.4), chance.uniform(0.0, 0.02)][: 1 + seed % 2]
        ended = world.start(signals=[[t, signal.SIGTERM] for t in times])
        assert ended.code in (0, 5, 130, -signal.SIGTERM), ended.err
        doubts = Journal.read(world.state).doubts
        assert len(doubts) <= (3 if len(times) == 2 else 0)
    world.finish()
    world.check_end()
