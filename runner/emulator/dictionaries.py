"""The tracker's dictionaries of streams: types, schemas, actions and filters, as fixed data."""

from __future__ import annotations

from runner.emulator.state import Row


def _entries(lines: str) -> list[Row]:
    rows = []
    for line in lines.strip().splitlines():
        key, name, field, kind, description = (part.strip() for part in line.split("|"))
        rows.append(
            {"key": key, "name": name, "field": field, "type": kind, "description": description}
        )
    return rows


STREAM_TYPES = _entries("""
    forced  | Forced  | | | Looked at first
    regular | Regular | | | Taken by position, or by weight in a split test
    default | Default | | | Takes what no other flow took; one for each campaign
""")

STREAM_SCHEMAS = _entries("""
    landings | Landing pages and offers | | | Landing pages lead to offers; without them offers show
    redirect | Direct URL               | | | Sends the visitor to an address
    action   | Action                   | | | Does something without an address
""")

# The keys are those seen on live trackers; `field` names the editor's control.
STREAM_ACTIONS = _entries("""
    http            | HTTP redirect          | url      | redirect | Answers 302 with the address
    meta            | Meta redirect          | url      | redirect | Redirects by a meta tag
    double_meta     | Double meta redirect   | url      | redirect | Two meta redirects in a row
    js              | JS redirect            | url      | redirect | Redirects by a script
    js_for_script   | JS for a script        | url      | other    | Script to be embedded
    js_for_iframe   | JS for an iframe       | url      | other    | Leaves the frame it runs in
    blank_referrer  | Without a referrer     | url      | redirect | Hides where the visitor is from
    formsubmit      | Form submit            | url      | redirect | Redirects by sending a form
    iframe          | Iframe                 | url      | other    | Shows the address in a frame
    frame           | Frame                  | url      | other    | Shows the address in a frameset
    remote          | Remote                 | url      | other    | Asks the address where to go
    curl            | CURL                   | url      | other    | Loads the page and shows it
    local_file      | Local file             | upload   | other    | Shows a page kept here
    show_html       | Show HTML              | text     | other    | Shows the given HTML
    show_text       | Show text              | text     | other    | Shows the given text
    status404       | 404 Not found          | nothing  | other    | Answers 404
    campaign        | Send to a campaign     | campaign | other    | Passes the visitor on
    do_nothing      | Do nothing             | nothing  | other    | Answers an empty page
""")

# The first seven were seen live; the rest the panel offers, under names that are likely.
_FILTERS = """
    country general | bot traffic | uniqueness traffic | keyword params | parameter params
    limit other | sub_id_1 params | sub_id_2 params | sub_id_3 params | sub_id_4 params
    sub_id_5 params | sub_id_6 params | sub_id_7 params | sub_id_8 params | sub_id_9 params
    sub_id_10 params | region general | city general | isp network | operator network
    connection_type network | ip network | ipv6 network | proxy network | device_type device
    device_model device | browser device | browser_version device | os device | os_version device
    language device | user_agent device | referrer traffic | source traffic | search_engine traffic
    x_requested_with traffic | schedule other | interval other | imklo other
    ad_campaign_id params | creative_id params
"""


def _filter(value: str, group: str) -> Row:
    return {
        "value": value,
        "tooltip": f"Looks at the visitor's {value.replace('_', ' ')}",
        "modes": {"accept": "Is", "reject": "Is not"},
        "group": group,
        "template": "",
        "header_template": "",
        "defaults": "",
    }


STREAM_FILTERS = [
    _filter(*entry.split())
    for line in _FILTERS.split("\n")
    for entry in line.split("|")
    if entry.strip()
]
