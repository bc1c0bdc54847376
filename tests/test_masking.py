"""Masking: what is told or looks secret is hidden, in every form, and JSON stays JSON."""

from __future__ import annotations

import base64
import html
import json
import math
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from runner.errors import ExitCode, RunnerError
from runner.masking import MASK, SHORTEST, Masker

KEY = "3f2a9c0d4b5e6f708192a3b4c5d6e7f8"
HARD = 'p@ß w"\\ör/d+1'


def _php(text: str) -> str:
    return json.dumps(text)[1:-1].replace("/", r"\/")


def _within(prefix: str, suffix: str) -> Callable[[str], str]:
    return lambda text: base64.b64encode(f"{prefix}{text}{suffix}".encode()).decode()


def _url_safe(text: str) -> str:
    return base64.urlsafe_b64encode(f"user:{text}".encode()).decode()


def _quote_in_lower_case(text: str) -> str:
    return re.sub("%..", lambda found: found[0].lower(), urllib.parse.quote(text, safe=""))


FORMS: dict[str, Callable[[str], str]] = {
    "raw": lambda text: text,
    "json": lambda text: json.dumps(text)[1:-1],
    "json, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json in json": lambda text: json.dumps(json.dumps(text))[1:-1],
    "json as PHP writes it": _php,
    "percent": urllib.parse.quote,
    "percent, slashes too": lambda text: urllib.parse.quote(text, safe=""),
    "percent, as httpx does": lambda text: urllib.parse.quote(text, safe="!$&'()*+,;=:@/?"),
    "percent, lower case": _quote_in_lower_case,
    "percent, every byte": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent, twice": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "plus": urllib.parse.quote_plus,
    "html": html.escape,
    "base64": _within("", ""),
    "base64, one before": _within("a", "z"),
    "base64, two before": _within("ab", "yz"),
    "base64, user": _within("user:", ""),
    "base64url": _url_safe,
    "base64 of json": lambda text: base64.b64encode(json.dumps({"k": text}).encode()).decode(),
    "lower": str.lower,
    "upper": str.upper,
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
}


def _tells(atom: str, secret: str, written: str) -> bool:
    """Whether the secret can be read in the atom, as it was written, or by decoding base64."""
    if secret in atom or written in atom:
        return True
    for run in re.findall("[0-9A-Za-z+/_-]{4,}", atom):
        run_of_one_alphabet = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            part = run_of_one_alphabet[start:]
            data = base64.b64decode(part[: len(part) // 4 * 4] or "")
            if secret.encode() in data:
                return True
    return False


def _line(masker: Masker, value: object) -> str:
    line, masked = masker.both(value)
    assert json.loads(line) == json.loads(json.dumps(masked))
    return line


def _atoms(value: object) -> Iterator[str]:
    """Every string, key and number of a JSON value, as text."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _atoms(part)
    elif isinstance(value, list):
        for part in value:
            yield from _atoms(part)
    elif not isinstance(value, bool) and value is not None:
        yield str(value)


@pytest.mark.parametrize("secret", [KEY, HARD, "пароль-пароль", "1234567", "!!??;;"], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_a_secret_survives(form: str, secret: str) -> None:
    """Whatever encoded the secret, neither text, values, keys nor the line show it."""
    masker = Masker([secret])
    written = FORMS[form](secret)
    told = f"before {written} after"
    assert not _tells(masker.text(told), secret, written)
    assert MASK in masker.text(told)
    for value in (told, [told], {"x": {told: 1}}, {"x": [{"y": told}]}):
        line = _line(masker, value)
        assert MASK in line
        assert not any(_tells(atom, secret, written) for atom in _atoms(json.loads(line)))
        assert json.loads(line) == masker.json(value)


def test_what_stands_around_a_secret_stays() -> None:
    """Only the secret goes, so that the message can still be read."""
    assert Masker([KEY]).text(f"the key {KEY} is wrong") == "the key *** is wrong"


def test_a_line_without_secrets_is_plain_compact_json() -> None:
    """What holds nothing secret is written as it is, in UTF-8."""
    value = {"name": "Запуск", "n": [1, 2.5, None, True], "e": {}, "headers": {"Api-Key": "***"}}
    assert _line(Masker([KEY]), value) == json.dumps(
        value, ensure_ascii=False, separators=(",", ":")
    )


def test_numbers_that_tell_a_secret_are_masked() -> None:
    """A numeric password is hidden where JSON writes it as a number; other numbers stay."""
    masker = Masker(["987654"])
    assert masker.json([987654, 19876540, 1.987654, 98765, True]) == [MASK, MASK, MASK, 98765, True]


def test_keys_that_become_the_same_stay_apart() -> None:
    """Two keys that differ in secrets only are both kept."""
    assert Masker(["secret1", "secret2"]).json({"secret1": 1, "secret2": 2}) == {
        "***": 1,
        "******": 2,
    }


def test_longest_secret_goes_first() -> None:
    """A secret that holds another is hidden whole, in whichever order they were told."""
    for secrets in (["abcd", "abcdefgh"], ["abcdefgh", "abcd"]):
        assert Masker(secrets).text("xabcdefghx abcd") == "x***x ***"


def test_hiding_does_not_bring_a_secret_together() -> None:
    """What the mask itself completes to a secret is hidden in turn."""
    assert Masker(["****"]).text("*****") == MASK


def test_white_space_around_a_secret_may_be_missing() -> None:
    """A secret read with its line break is also hidden without it."""
    assert Masker(["hunter22\n"]).text("hunter22.") == "***."


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "apiKey", "Api-Key", "x_api_key", "avscan_key", "Authorization", "password"),
        *("new_password", "new_password_confirmation", "token", "accessToken", "client_secret"),
        *("Cookie", "Set-Cookie", "PASSWORD"),
    ],
)
def test_sensitive_fields_are_masked(name: str) -> None:
    """A field that is secret by its name is hidden though nobody told its value."""
    masker = Masker()
    value = {"a": {name: "x1"}, "b": [{name: 12}], "c": {name: ["x1", "y"]}, "d": {name: 1}}
    expected = {
        "a": {name: MASK},
        "b": [{name: MASK}],
        "c": {name: [MASK, MASK]},
        "d": {name: MASK},
    }
    assert masker.json(value) == expected
    assert json.loads(_line(masker, value)) == expected
    assert json.loads(_line(masker, {name: "x", "and": 1})) == {name: MASK, "and": 1}


@pytest.mark.parametrize(
    "value",
    [
        *({"token": ""}, {"token": None}, {"password": True}, {"keyword": "shoes"}),
        *({"token": {"type": "x"}}, {"primary_key": 5}, {"confirmation": "yes"}, {"tokens": 3}),
        *({"text": 'the "token": is'}, {"text": '{"key": 1}'}, {"region": "x", "position": 1}),
    ],
    ids=str,
)
def test_what_only_looks_sensitive_stays(value: object) -> None:
    """Empty values, flags and names that merely resemble a secret's are left alone."""
    assert Masker().json(value) == value
    assert json.loads(_line(Masker(), value)) == value


def test_parameters_of_addresses_are_masked() -> None:
    """Keitaro takes some keys in the address; what else stands there stays."""
    masker = Masker(["topsecret"])
    told = "https://t/topsecret/avscan?avscan_key=sesame&type=x&api_key=&token%5B%5D=a&n=topsecret"
    shown = "https://t/***/avscan?avscan_key=***&type=x&api_key=&token%5B%5D=***&n=***"
    assert masker.url(told) == shown
    assert masker.url("https://t/offers?ids=1&ids=2") == "https://t/offers?ids=1&ids=2"
    assert masker.url("https://t/?") == "https://t/?"


def test_sensitive_fields_within_text_are_masked() -> None:
    """JSON inside a string is looked through, and so is JSON that was cut short."""
    masker = Masker()
    assert masker.text('{"password": "x\\"y", "n": 1.5}') == '{"password":"***","n":1.5}'
    assert masker.text('{"n": 1, "password": "x\\"y, and') == '{"n": 1, "password":"***"'
    once = json.dumps({"token": "sesame", "list": {"cookie": ["sesame"]}})
    twice = json.dumps({"parameters": once})
    for told in (once, twice, json.dumps({"again": twice})):
        assert "sesame" not in masker.text(told)
        assert "sesame" not in _line(masker, {"response": told})
        assert "sesame" not in _line(masker, {"response": {told: [1]}})


def test_what_stays_is_the_same_object() -> None:
    """Parts without secrets are not copied, which a large answer would feel."""
    value = {"data": [{"id": 1, "token": "sesame", "parameters": {"n": "a: b"}}, {"id": 2}]}
    _, masked = Masker([KEY]).both(value)
    assert masked["data"][0] == {"id": 1, "token": MASK, "parameters": {"n": "a: b"}}
    assert masked["data"][0]["parameters"] is value["data"][0]["parameters"]
    assert masked["data"][1] is value["data"][1]
    assert value["data"][0]["token"] == "sesame"
    assert Masker([KEY]).both(value["data"][1])[1] is value["data"][1]


@pytest.mark.parametrize(
    "told",
    [
        '{"password":"sesame","password":null}',
        '{"a":{"token":"sesame"},"a":1}',
        '{"id":12345,"token":["sesame"]}',
        '{"password" : "sesame"}',
        '\ufeff{"token":["sesame"]}',
        '{"token":["x", "sesame"',
        '{"token":["x", "sesame"], "and',
        r'{"a":"{\"token\":\"sesame\",\"b',
        r'{"a":"{\"token\":\"se\\\"sesame\",\"b',
        r'{"a":"{\"token\":12,\"password\":\"sesame',
        r'{"a":"{\"token\":\"sesame\"}"} tail',
        json.dumps({"a": json.dumps({"token": "sesame"})})[:-3],
    ],
)
def test_fields_in_text_that_is_hardly_json_are_masked(told: str) -> None:
    """Names that stand twice, a secret that is a number, text that is cut or has more to it."""
    masker = Masker(["12345"])
    assert "sesame" not in masker.text(told)
    assert "sesame" not in _line(masker, {"response": told})
    assert "12345" not in masker.text(told)


def test_json_in_json_takes_its_time_once() -> None:
    """Each level is looked through once, however many there are and whatever keeps them open."""
    masker = Masker([KEY])
    told = json.dumps({"sort_key": "a", "key": KEY})
    for _ in range(14):
        told = json.dumps({"sort_key": "a", "x": told})
    assert KEY not in masker.text(told)
    assert KEY not in _line(masker, [told])


def test_numbers_that_python_does_not_write_are_hidden() -> None:
    """A number of thousands of digits ends in the mask and not in a crash."""
    assert _line(Masker([KEY]), [10**5000]) == '["***"]'


def test_json_that_python_only_allows_becomes_text() -> None:
    """NaN, infinity and lone surrogates leave valid JSON in UTF-8."""
    line = _line(
        Masker([KEY]), {"a": math.nan, "b": [math.inf, -math.inf], "c": KEY, "d": "ж\ud800"}
    )
    line.encode()
    assert json.loads(line, parse_constant=pytest.fail) == {
        "a": "nan",
        "b": ["inf", "-inf"],
        "c": MASK,
        "d": "ж\ud800",
    }


def test_what_is_nested_too_deeply_is_hidden() -> None:
    """Nesting beyond reason ends in the mask and not in a crash."""
    deep: object = KEY
    for _ in range(100_000):
        deep = [deep]
    line = _line(Masker([KEY]), {"a": deep})
    assert MASK in line
    assert KEY not in line


def test_text_with_json_nested_too_deeply_is_left_standing() -> None:
    """A string that opens thousands of brackets is no reason to crash."""
    told = "[" * 100_000 + '{"token":"sesame"}'
    assert "sesame" not in Masker().text(told)


def test_short_secrets_are_refused_without_being_told() -> None:
    """A secret too short to be hidden is refused, since half the report would go with it."""
    with pytest.raises(RunnerError) as caught:
        Masker(["a7"])
    assert "a7" not in caught.value.message + caught.value.hint
    assert caught.value.code is ExitCode.USAGE
    assert Masker(["a" * SHORTEST]).text("aaaa") == MASK


def test_an_empty_secret_hides_nothing() -> None:
    """An input that was left empty is no secret."""
    masker = Masker([""])
    masker.add("")
    assert masker.text("text") == "text"


def test_repr_tells_no_secret() -> None:
    """Neither the masker's own repr nor its string shows what it hides."""
    assert KEY not in f"{Masker([KEY])!r} {Masker([KEY])}"


def test_text_made_to_be_slow_is_not() -> None:
    """No input makes the patterns backtrack: a megabyte of near misses takes a second or so."""
    masker = Masker([HARD, "a\\\\\\\\\\\\b", '""""'])
    started = time.perf_counter()
    for told in (
        "\\" * 200_000,
        "p@" + "\\" * 200_000,
        '"' * 200_000,
        '"token":"' + "\\" * 200_000,
    ):
        masker.text(told + "x")
        _line(masker, [told + "x"])
    assert time.perf_counter() - started < 5


_ALPHABET = st.characters(codec="utf-8") | st.sampled_from("aZ0+/\\\"'%&<* \n")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["token", "api_key"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(
    secret=st.text(_ALPHABET, min_size=4, max_size=40),
    form=st.sampled_from(sorted(FORMS)),
    around=st.tuples(st.text(max_size=5), st.text(max_size=5)),
    value=_JSON,
    as_key=st.booleans(),
)
@example(secret="****", form="raw", around=("*", "*"), value=None, as_key=False)
def test_a_random_secret_never_survives(
    secret: str, form: str, around: tuple[str, str], value: object, as_key: bool
) -> None:
    """Any secret, in any encoding, anywhere in any structure, is gone; the line stays JSON."""
    assume(secret not in "null true false nan inf -inf ***")
    # What is shorter may be a word, which is another one in another case.
    assume(len(secret) >= 8 or form not in {"lower", "upper"})
    written = FORMS[form](secret)
    told = f"{around[0]}{written}{around[1]}"
    masker = Masker([secret])
    whole = {told: value} if as_key else [value, {"x": told}]
    line = _line(masker, whole)
    parsed = json.loads(line, parse_constant=pytest.fail)
    shown = [*_atoms(parsed), masker.text(told)]
    assert not any(_tells(atom, secret, written) for atom in shown)
    assert "\n" not in line
    line.encode()


@given(value=_JSON)
@example(value={"TOKEN": '"'})
def test_a_line_says_what_the_masked_value_says(value: object) -> None:
    """The fast way and the thorough way give the same JSON."""
    masker = Masker([KEY])
    assert json.loads(_line(masker, value)) == json.loads(json.dumps(masker.json(value)))


@pytest.mark.parametrize(
    "secret", ["0.00001234", "1.234e-05", "1e-7", "0.0000001", "1.5E300", "-2.50"]
)
def test_a_number_in_any_notation(secret: str) -> None:
    """A number is hidden however it was written, and however the report writes it."""
    line, masked = Masker([secret]).both({"n": float(secret), "t": f"is {secret} now"})
    assert json.loads(line) == masked == {"n": "***", "t": "is *** now"}
    assert Masker([secret]).json({"n": float(secret)}) == {"n": "***"}
    assert Masker([repr(float(secret))]).both([float(secret)])[1] == ["***"]
