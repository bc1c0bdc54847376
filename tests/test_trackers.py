"""Trackers: which one a name means, and what its address, key and file may look like."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pytest

from runner.errors import ExitCode, RunnerError
from runner.trackers import Tracker, Trackers, find

KEY = "3f2a9c0d4b5e6f708192a3b4c5d6e7f8"
ENVIRON = {"KEITARO_URL": "https://t.example.com", "KEITARO_API_KEY": KEY}


def _by_variables(**changes: str) -> Tracker:
    return find(None, None, ENVIRON | changes)


def _refusal(*, url: str = ENVIRON["KEITARO_URL"], key: str = KEY) -> str:
    with pytest.raises(RunnerError) as caught:
        _by_variables(KEITARO_URL=url, KEITARO_API_KEY=key)
    assert caught.value.code is ExitCode.USAGE
    return f"{caught.value.message}\n{caught.value.hint}"


@pytest.fixture
def write(tmp_path: Path):
    """Writes a trackers file and returns its path."""

    def _write(text: str) -> Path:
        path = tmp_path / "trackers.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def _wrong(file: Path, name: str | None = None, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(RunnerError) as caught:
        find(name, file, environ or {})
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown + caught.value.hint
    assert caught.value.code is ExitCode.USAGE
    return f"{caught.value.message}\n{caught.value.hint}".replace(str(file), "FILE")


# --- the environment -------------------------------------------------------------------------


@pytest.mark.httpx_only
def test_variables_name_the_default_tracker() -> None:
    """KEITARO_URL and KEITARO_API_KEY are enough, under the name `default`."""
    tracker = _by_variables()
    assert tracker == Tracker("default", "https://t.example.com", KEY, transport="httpx")
    assert tracker.api == "https://t.example.com/admin_api/v1"
    assert find("default", None, ENVIRON) == tracker
    assert Trackers(None, ENVIRON).names == ["default"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("https://T.Example.com/", "https://t.example.com"),
        (" https://t.example.com:443 ", "https://t.example.com"),
        ("https://t.example.com:8443/admin_api/v1/", "https://t.example.com:8443"),
        ("https://t.example.com/keitaro/admin_api", "https://t.example.com/keitaro"),
        ("https://t.example.com/kt/", "https://t.example.com/kt"),
        ("https://трекер.рф", "https://xn--e1aaowdh.xn--p1ai"),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.9.9.9:80", "http://127.9.9.9"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://localhost", "http://localhost"),
    ],
    ids=str,
)
def test_an_address_is_normalised(typed: str, meant: str) -> None:
    """However an address is typed or pasted, one form of it is used."""
    assert _by_variables(KEITARO_URL=typed).url == meant


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("t.example.com", "did you mean https://t.example.com"),
        ("t.example.com:8443/kt", "did you mean https://t.example.com:8443/kt"),
        ("localhost:8000", "did you mean http://localhost:8000"),
        ("nonsense", "no scheme"),
        ("https://", "not a URL"),
        ("https://t.example.com:99999", "not a URL"),
        ("https://t..example.com", "not a URL"),
        ("https://[::1", "not a URL"),
        (f"https://{'a' * 64}.com", "not a URL"),
        ("ftp://t.example.com", "neither https nor http"),
        ("https://t.example.com?x=1", "query or a fragment"),
        ("https://t.example.com/admin/#!/campaigns", "query or a fragment"),
        ("https://t.example.com/admin", "did you mean https://t.example.com"),
        ("https://t.example.com:8443/admin/", "did you mean https://t.example.com:8443"),
        ("https://t.example.com/a/../b", "impossible path"),
        ("https://t.example.com//b", "impossible path"),
        ("https://t.example.com/a b", "spaces or control characters"),
        ("https://t.example.com\n.evil.com", "spaces or control characters"),
        ("http://t.example.com", "plain http"),
        ("http://10.0.0.1", "plain http"),
        ("http://127.1", "plain http"),
        ("http://0.0.0.0", "plain http"),
    ],
    ids=str,
)
def test_a_wrong_address_is_explained(typed: str, told: str) -> None:
    """Each mistake in KEITARO_URL is named, with what to write."""
    shown = _refusal(url=typed)
    assert shown.startswith("KEITARO_URL")
    assert told in shown


@pytest.mark.parametrize(
    "typed",
    [
        "https://user:sesame@t.example.com",
        "user:sesame@t.example.com",
        "https://t.example.com?api_key=sesame",
        "https://t.example.com/#sesame",
        "sesame",
        "https://t.example.com/ sesame",
    ],
)
def test_what_may_be_a_secret_in_an_address_is_not_echoed(typed: str) -> None:
    """A password in the URL, or the key in the wrong variable, is not shown."""
    assert "sesame" not in _refusal(url=typed)


@pytest.mark.parametrize(
    "key",
    ["sesame street", "sesame\n", "sesame\r\nX-Evil: 1", "sésame", "sesame\x00", " sesame"],
    ids=ascii,
)
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    """A key with spaces, line breaks or letters beyond ASCII is refused and not echoed."""
    shown = _refusal(key=key)
    assert "KEITARO_API_KEY" in shown
    assert "same" not in shown


def test_an_empty_key_is_refused() -> None:
    """An empty variable says so, and where keys come from."""
    assert "KEITARO_API_KEY is empty" in _refusal(key="")
    assert "KEITARO_API_KEY has fewer than 4 characters" in _refusal(key="abc")


def test_a_missing_key_names_its_variable() -> None:
    """With the URL alone, the error says which variable is missing."""
    with pytest.raises(RunnerError, match="KEITARO_API_KEY is not set"):
        find(None, None, {"KEITARO_URL": "https://t.example.com"})


def test_no_tracker_at_all_says_what_to_set() -> None:
    """Without variables and file, the error names both ways."""
    with pytest.raises(RunnerError, match="KEITARO_URL is not set") as caught:
        find(None, None, {})
    assert "KEITARO_API_KEY" in caught.value.hint
    with pytest.raises(RunnerError, match="no tracker 'spare'") as caught:
        find("spare", None, {})
    assert "KEITARO_URL" in caught.value.hint


def test_plain_http_is_allowed_when_asked_for() -> None:
    """`--insecure` lets the key travel in the clear, and the tracker remembers it."""
    tracker = find(None, None, ENVIRON | {"KEITARO_URL": "http://10.0.0.1"}, insecure=True)
    assert (tracker.url, tracker.insecure) == ("http://10.0.0.1", True)


def test_repr_shows_neither_key_nor_proxy() -> None:
    """A tracker can be logged: its key and the proxy's password are not in its repr."""
    tracker = _by_variables(HTTPS_PROXY="http://me:p%40ss@proxy:3128")
    assert KEY not in repr(tracker)
    assert "p%40ss" not in repr(tracker)
    assert tracker.secrets == (KEY, "p%40ss", "p@ss")
    assert _by_variables().secrets == (KEY,)


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128", "HTTPS_PROXY": "http://other"}, "http://proxy:3128"),
        ({"ALL_PROXY": "socks5://proxy"}, "socks5://proxy"),
        ({"HTTP_PROXY": "http://proxy"}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "a.com, .example.com"}, None),
        ({"HTTPS_PROXY": "http://proxy", "no_proxy": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "ample.com"}, "http://proxy"),
    ],
    ids=str,
)
def test_proxies_of_the_environment_are_honoured(
    variables: dict[str, str], proxy: str | None
) -> None:
    """The standard variables choose the proxy, and NO_PROXY exempts the host."""
    assert _by_variables(**variables).proxy == proxy


def test_loopback_and_resolved_addresses_use_no_proxy(write) -> None:
    """An emulator is reached directly, and so is an address that was given."""
    proxies = {"HTTP_PROXY": "http://proxy", "HTTPS_PROXY": "http://proxy", "K": KEY}
    assert _by_variables(KEITARO_URL="http://127.0.0.1:8000", **proxies).proxy is None
    file = write("trackers: {a: {url: https://t.example.com, key: {env: K}, resolve: 203.0.113.7}}")
    assert find(None, file, proxies).proxy is None


def test_a_proxy_that_is_none_is_refused() -> None:
    """A proxy variable with another scheme names itself, not its value."""
    with pytest.raises(RunnerError, match="HTTPS_PROXY is not a proxy's address") as caught:
        _by_variables(HTTPS_PROXY="ftp://me:sesame@proxy")
    assert "sesame" not in str(caught.value)


# --- the file ---------------------------------------------------------------------------------

FILE = """\
default: main
trackers:
  main: {url: https://t.example.com, key: {env: MAIN_KEY}}
  spare:
    url: https://spare.example.com
    key: {file: keys/spare}
    resolve: 203.0.113.7
    ca_file: ca.pem
    timeout: 60
    user_agent: Mozilla/5.0
  third: {url: http://10.0.0.5, key: {command: [COMMAND]}, insecure: true}
"""


@pytest.mark.httpx_only
def test_a_file_names_several_trackers(write, tmp_path: Path) -> None:
    """Every field of an entry arrives, paths counting from the file's own folder."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "spare").write_text(KEY + "\n")
    (tmp_path / "ca.pem").write_text("")
    trackers = Trackers(write(FILE), {"MAIN_KEY": "main-key"})
    assert trackers.names == ["main", "spare", "third"]
    assert trackers.default == "main"
    assert trackers.get() == Tracker("main", "https://t.example.com", "main-key", transport="httpx")
    assert trackers.get("spare") == Tracker(
        "spare",
        "https://spare.example.com",
        KEY,
        resolve="203.0.113.7",
        user_agent="Mozilla/5.0",
        timeout=60.0,
        ca_file=tmp_path / "ca.pem",
        transport="httpx",
    )


@pytest.mark.parametrize("flag", ["true", "false"])
def test_an_entry_may_allow_plain_http(write, flag: str) -> None:
    """`insecure:` is for one tracker alone."""
    entry = f"{{url: http://10.0.0.5, key: {{env: K}}, insecure: {flag}}}"
    file = write(f"trackers: {{a: {entry}}}")
    if flag == "true":
        assert find(None, file, {"K": KEY}).insecure
    else:
        assert "a.url is plain http" in _wrong(file, environ={"K": KEY})


def _command(*code: str) -> str:
    words = ", ".join(f"'{word}'" for word in (sys.executable, "-c", *code))
    return f"trackers: {{a: {{url: https://t.example.com, key: {{command: [{words}]}}}}}}"


def test_a_command_gives_the_key_once(write, tmp_path: Path) -> None:
    """The command runs without a shell, in the run's environment, and only once."""
    code = 'import os, sys; print(os.environ["K"] + sys.argv[1]); open("ran", "a").write("x")'
    file = write(_command(code.replace("ran", str(tmp_path / "ran")), "$HOME"))
    trackers = Trackers(file, {"K": KEY})
    assert trackers.get().key == f"{KEY}$HOME"
    assert trackers.get() is trackers.get()
    assert (tmp_path / "ran").read_text() == "x"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ('raise SystemExit(f\'{__import__("os").environ["K"]}\')', "failed with exit code 1"),
        ("print()", "is empty"),
        ('import os; print(os.environ["K"]); print(2)', "holds spaces, line breaks"),
    ],
    ids=["fails", "says nothing", "says two lines"],
)
def test_a_command_that_gives_no_key_is_explained(write, code: str, told: str) -> None:
    """What a command prints is not shown, since it may be the key."""
    assert told in _wrong(write(_command(code.replace("'", "''"))), environ={"K": KEY})


def test_a_command_that_hangs_is_given_up(write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits for somebody does not hold the run for ever."""
    monkeypatch.setattr("runner.trackers.file.COMMAND_TIMEOUT", 0.05)
    assert "took longer than 0.05 s" in _wrong(write(_command("import time; time.sleep(9)")))


def test_a_command_that_is_not_there_is_explained(write) -> None:
    """A missing program is named, with what to try."""
    file = write("trackers: {a: {url: https://x.com, key: {command: [no-such-program]}}}")
    assert "cannot be run: No such file" in _wrong(file)


def test_only_the_tracker_that_is_used_reads_its_key(write) -> None:
    """A variable that is missing for another tracker does no harm."""
    file = write(
        "trackers:\n"
        "  a: {url: https://a.com, key: {env: A}}\n"
        "  b: {url: https://b.com, key: {env: B}}\n"
    )
    trackers = Trackers(file, {"A": KEY})
    assert trackers.get("a").key == KEY
    with pytest.raises(RunnerError, match=r"b\.key\.env is not set in the environment: B"):
        trackers.get("b")


def test_a_file_that_is_given_is_meant(write) -> None:
    """Its default wins over the variables, which may be left over; by name each can be had."""
    file = write("default: a\ntrackers: {a: {url: https://a.com, key: {env: KEITARO_API_KEY}}}")
    trackers = Trackers(file, ENVIRON)
    assert trackers.names == ["a", "default"]
    assert trackers.default == "a"
    assert trackers.get().url == "https://a.com"
    assert trackers.get("default").url == "https://t.example.com"


def test_the_variables_fill_in_for_a_default(write) -> None:
    """Where a file names several trackers and no default."""
    entry = "{url: https://a.com, key: {env: KEITARO_API_KEY}}"
    trackers = Trackers(write(f"trackers: {{a: {entry}, b: {entry}}}"), ENVIRON)
    assert trackers.default == "default"
    assert trackers.get().url == "https://t.example.com"


def test_a_tracker_called_default_is_the_files_own(write) -> None:
    """Whatever the environment says."""
    file = write("trackers: {default: {url: https://a.com, key: {env: KEITARO_API_KEY}}}")
    trackers = Trackers(file, ENVIRON)
    assert trackers.names == ["default"]
    assert trackers.get("default").url == trackers.get().url == "https://a.com"


def test_a_single_tracker_needs_no_default(write) -> None:
    """With one entry there is nothing to choose; with two there is."""
    one = "trackers:\n  a: {url: https://a.com, key: {env: K}}\n"
    assert find(None, write(one), {"K": KEY}).name == "a"
    shown = _wrong(write(one + "  b: {url: https://b.com, key: {env: K}}"))
    assert "several trackers and no default\nchoose one of a, b" in shown


A = "trackers:\n  a:\n    url: https://t.example.com\n    key: {env: K}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "FILE is empty"),
        ("a: b: c", "FILE:1 is not YAML: mapping values are not allowed"),
        ("&a [*a]", "FILE:1 the file must be a mapping"),
        ("default: a", "FILE has no 'trackers'"),
        ("trackers: {}", "FILE:1 trackers names no tracker"),
        ("trackers: [a]", "FILE:1 trackers must be a mapping"),
        ("tracker: {}", "FILE:1 tracker is not known, did you mean 'trackers'?"),
        ("default: b\n" + A, "FILE:1 default names no tracker of this file"),
        ("default: [b]\n" + A, "FILE:1 default must be text"),
        (A + "  a: {}", "FILE:5 trackers.a is there twice"),
        (A + "    timout: 5", "FILE:5 trackers.a.timout is not known, did you mean 'timeout'?"),
        (A + "    zzz: 5", "FILE:5 trackers.a.zzz is not known\nknown: url, key"),
        (A + "    [x]: 5", "FILE:5 a key in trackers.a must be text"),
        (A + "    timeout: soon", "FILE:5 trackers.a.timeout is not a number of seconds"),
        (A + "    timeout: -1", "FILE:5 trackers.a.timeout is not a number of seconds"),
        (A + "    timeout: .nan", "FILE:5 trackers.a.timeout is not a number of seconds"),
        (A + "    resolve: a.com", "FILE:5 trackers.a.resolve is not an IP address"),
        (A + "    insecure: yes", "FILE:5 trackers.a.insecure must be true or false"),
        (A + '    user_agent: "a\\nb"', "FILE:5 trackers.a.user_agent holds characters"),
        (A + "    ca_file: no.pem", "FILE:5 trackers.a.ca_file is not a file"),
        ("trackers: {a: {key: {env: K}}}", "FILE:1 trackers.a has no url"),
        ("trackers: {a: {url: https://a.com}}", "FILE:1 trackers.a has no key"),
        ("trackers: {a: {url: a.com, key: {env: K}}}", "FILE:1 trackers.a.url is not a URL"),
    ],
    ids=lambda text: text[-40:],
)
def test_a_wrong_file_is_explained(write, text: str, told: str) -> None:
    """Each mistake is named with file, line and field, and the nearest name where there is one."""
    assert told in _wrong(write(text), environ={"K": KEY})


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (KEY, "holds a key in the clear"),
        (f"{{{KEY}}}", "must name one source"),
        (f"{{env: {KEY}}}", "holds what looks like a key"),
        ("{env: A, file: b}", "must name one source"),
        ("{}", "must name one source"),
        ("[x]", "must be a mapping"),
        ("{env: }", "key.env must be text"),
        ("{env: NONE}", "is not set in the environment: NONE"),
        ("{file: nowhere}", "is not a file"),
        ("{file: /proc/self/mem}", "cannot be read"),
        ("{command: pass show}", "must be a list of words"),
        ("{command: []}", "must be a list of words"),
    ],
    ids=[
        *["clear", "braces", "env", "two", "none", "list", "null", "unset"],
        "no-file",
        "bad-file",
        "text",
        "empty",
    ],
)
def test_a_wrong_key_source_is_explained(write, key: str, told: str) -> None:
    """A key in the clear is refused in whatever guise, and never echoed."""
    file = write(f"trackers:\n  a:\n    url: https://t.example.com\n    key: {key}\n")
    shown = _wrong(file)
    assert "FILE:4 trackers.a.key" in shown
    assert told in shown


def test_an_unknown_tracker_gets_the_nearest_name(write) -> None:
    """A misspelt name is answered with the one that was meant, and with all there are."""
    assert "no tracker 'b', did" not in _wrong(write(A), "b")
    shown = _wrong(write(A.replace("  a:", "  spare:")), "spar")
    assert "there is no tracker 'spar', did you mean 'spare'?\nknown: spare" in shown


def test_a_file_that_cannot_be_read_is_explained(tmp_path: Path) -> None:
    """A wrong path says so, and a folder does too."""
    assert "cannot read FILE: No such file" in _wrong(tmp_path / "none.yaml")
    assert "cannot read FILE: Is a directory" in _wrong(tmp_path)


def test_a_file_of_any_size_or_depth_is_refused_quickly(write) -> None:
    """What cannot be a trackers file does not take the machine down."""
    assert "too large" in _wrong(write("#" * (1 << 20) + "##"))
    assert "not YAML" in _wrong(write("[" * 5_000))
