"""Playbooks of any size for keitaro-runner, each written a line at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_HEAD = """\
version: 1
name: bench
inputs:
  country: {type: string, default: DE}
steps:
"""


def write(path: Path, parts: Iterator[str]) -> Path:
    """Write a playbook and give its path."""
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(parts)
    return path


def turns(count: int) -> Iterator[str]:
    """POST, GET of the captured id, PUT: the work that every tool is given."""
    yield _HEAD
    for turn in range(count):
        yield f"""\
  - name: c{turn}
    resource: campaign
    operation: create
    body: {{name: "Launch ${{{{ inputs.country }}}} {turn}", alias: launch-{turn}}}
    expect: ["${{{{ status == 200 }}}}"]
  - name: g{turn}
    resource: campaign
    operation: get
    id: ${{{{ steps.c{turn}.data.id }}}}
    expect: ["${{{{ status == 200 }}}}"]
  - name: u{turn}
    resource: campaign
    operation: update
    id: ${{{{ steps.c{turn}.data.id }}}}
    body: {{notes: n {turn}}}
    expect: ["${{{{ status == 200 }}}}"]
"""


def computed(count: int) -> Iterator[str]:
    """As many steps, each with an expression of its own that has to be compiled."""
    yield _HEAD
    for step in range(count):
        yield f"""\
  - name: s{step}
    resource: campaign
    operation: update
    id: 5
    body:
      name: Launch {step}
      notes: ${{{{ inputs.country ~ '-{step}' }}}}
      state: active
"""


def lists(count: int) -> Iterator[str]:
    """As many steps that each list all campaigns."""
    yield "version: 1\nname: lists\nsteps:\n"
    for step in range(count):
        yield f"  - {{name: l{step}, resource: campaign, operation: getAll}}\n"


def creates(count: int) -> Iterator[str]:
    """As many steps that each create a campaign with all that one usually gives."""
    yield _HEAD
    for step in range(count):
        yield f"""\
  - name: c{step}
    resource: campaign
    operation: create
    body:
      name: Launch ${{{{ inputs.country }}}} {step}
      alias: launch-{step}
      type: position
      state: active
      cookies_ttl: 24
      cost_type: CPC
      cost_value: 0.5
      cost_currency: USD
      uniqueness_method: ip_ua
      position: 5
      bind_visitors: s
      traffic_source_id: 4
      domain_id: 2
      notes: n {step}
"""


def computed_creates(count: int) -> Iterator[str]:
    """As `creates`, with three of the fields computed, each by an expression of its own."""
    for line in creates(count):
        made = re.sub(
            r"name: Launch .* (\d+)\n", r"name: ${{ 'Launch ' ~ inputs.country ~ ' \1' }}\n", line
        )
        made = re.sub(r"alias: (launch-\d+)\n", r"alias: ${{ '\1' | lower }}\n", made)
        yield re.sub(r"notes: (n \d+)\n", r"notes: ${{ '\1' if inputs.country else '' }}\n", made)


def csv_loop(count: int) -> Iterator[str]:
    """As `loop`, over the rows of a CSV file that is written beside the playbook."""
    yield "version: 1\nname: loop\nsteps:\n  - name: each\n"
    yield f"    for_each: ${{{{ csv('rows-{count}.csv') }}}}\n"
    yield "    resource: campaign\n    operation: get\n    id: ${{ item.id }}\n"


def rows(count: int) -> Iterator[str]:
    """A CSV file of so many rows."""
    yield "id,name,note\n"
    for number in range(1, count + 1):
        yield f"{number},campaign {number},note of {number}\n"


def loop(count: int, concurrency: int = 1) -> Iterator[str]:
    """One step that reads each of `count` campaigns."""
    yield "version: 1\nname: loop\nsteps:\n  - name: each\n"
    yield f"    for_each: ${{{{ range(1, {count + 1}) }}}}\n"
    yield f"    concurrency: {concurrency}\n" if concurrency > 1 else ""
    yield "    resource: campaign\n    operation: get\n    id: ${{ item }}\n"


def apart(count: int) -> Iterator[str]:
    """As many steps that each read a campaign, none of which waits for another."""
    yield "version: 1\nname: apart\nsteps:\n"
    for number in range(1, count + 1):
        yield f"  - {{resource: campaign, operation: get, id: {number}}}\n"


def list_loop(count: int) -> Iterator[str]:
    """As `loop`, with the list in the playbook."""
    yield "version: 1\nname: loop\nsteps:\n  - name: each\n    for_each:\n"
    for item in range(1, count + 1):
        yield f"      - {item}\n"
    yield "    resource: campaign\n    operation: get\n    id: ${{ item }}\n"


def envelopes(count: int) -> Iterator[str]:
    """A report of so many calls, one in a thousand of which failed."""
    for seq in range(1, count + 1):
        failed = seq % 1000 == 0
        answer = (
            '"status":500,"success":false,"skipped":null,"data":null,"count":null,'
            '"error":{"type":"server_error","message":"it fell over","hint":"look at its log",'
            '"status":500,"response":{"error":"it fell over"}}'
            if failed
            else f'"status":200,"success":true,"skipped":null,"data":{{"id":{seq},'
            '"name":"Launch DE","state":"active"},"count":null,"error":null'
        )
        yield (
            f'{{"run":"20261123-204531-7469db","seq":{seq},"step":"each","index":{seq - 1},'
            f'"tracker":"default","source":"loop.yaml:4:5","resource":"campaign",'
            f'"operation":"get","request":{{"url":"https://tracker.example.com/admin_api/v1/'
            f'campaigns/{seq}","method":"GET","headers":{{"Api-Key":"***",'
            f'"Accept":"application/json"}},"body":null}},{answer},"attempts":1,'
            f'"started_at":"2026-11-23T20:45:31.808Z","duration_ms":1.4}}\n'
        )
