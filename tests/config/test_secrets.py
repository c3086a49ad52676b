import copy
import json
import logging
import pickle
import random
import urllib.parse

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tracelet.secrets import (
    SecretFloat,
    SecretInt,
    SecretStr,
    format_exception,
    is_secret_key,
    mask,
    redact,
    redact_record,
    redaction,
    register_secret,
    seal,
)


@pytest.mark.parametrize(
    "key",
    [
        *("token", "api_key", "apiKey", "APIKEY", "HF_TOKEN", "authToken", "access-token", "key", "secret"),
        *("password", "dbPassword", "db_password", "passwd", "pwd", "passphrase", "client_secret", "dsn"),
        *("credentials", "aws_secret_access_key", "private_key", "Authorization", "auth", "bearer", "tokens"),
        *("secretKey", "MLFLOW_TRACKING_PASSWORD", "x-api-key", "accesskey", "cookie", "secret_value", "jwt"),
    ],
)
def test_keys_that_name_a_secret(key):
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    [
        *("max_tokens", "num_tokens", "tokenizer", "token_count", "token_url", "key_file", "password_file"),
        *("author", "authors", "monkey", "keyboard", "keyword", "public_key", "primary_key", "sort_key"),
        *(
            "secret_name",
            "auth_type",
            "passes",
            "compass",
            "timeout",
            "uri",
            "",
            "key_id",
            "credentials_path",
        ),
    ],
)
def test_keys_that_do_not(key):
    assert not is_secret_key(key)


def test_keys_that_are_no_text():
    assert not is_secret_key(3)


class TestSecretStr:
    def test_it_is_the_value_to_whoever_uses_it(self):
        secret = SecretStr("s3cret-value")
        assert secret == "s3cret-value"
        assert f"Bearer {secret}" == "Bearer s3cret-value"
        assert str(secret) == secret.reveal() == "s3cret-value"
        assert type(str(secret)) is type(secret.reveal()) is str
        assert {"s3cret-value": 1}[secret] == 1

    def test_it_does_not_show_itself(self):
        secret = SecretStr("s3cret-value")
        for text in (repr(secret), f"{secret!r}", str({"token": secret}), str([secret]), f"{(secret,)}"):
            assert "s3cret-value" not in text
            assert "***" in text

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_copies_and_pickles_are_secrets_too(self, protocol, monkeypatch):
        config = {"token": SecretStr("s3cret-value"), "hosts": ["a"]}
        pickled = pickle.dumps(config, protocol)
        monkeypatch.setattr(redaction, "_registry", redaction._Registry())  # as in another process
        for restored in (pickle.loads(pickled), copy.deepcopy(config), copy.copy(config)):
            assert restored == config
            assert type(restored["token"]) is SecretStr
        assert redact("s3cret-value") == "***"


class TestSeal:
    def test_strings_under_a_secret_key_at_any_depth(self):
        values = {"token": "tok-1", "auth": {"user": "ann", "more": ["x1", 5]}, "uri": "http://host"}
        sealed = seal(values)
        assert sealed == values
        assert "tok-1" not in repr(sealed)
        assert "ann" not in repr(sealed)
        assert "x1" not in repr(sealed)
        assert type(sealed["uri"]) is str

    def test_numbers_are_remembered(self):
        assert seal({"pin": 198273}) == {"pin": 198273}
        assert redact("wrong pin 198273") == "wrong pin ***"

    def test_the_password_in_a_url_is_remembered(self):
        seal({"uri": "postgresql://ann:p%40ss-word@host/db"})
        assert redact("FATAL: p@ss-word refused, also p%40ss-word") == "FATAL: *** refused, also ***"


class TestMask:
    def test_by_key_by_type_and_by_value(self):
        register_secret("known-elsewhere")
        shown = mask(
            {
                "token": "abc",
                "pin": 42,
                "credentials": {"nested": 1},
                "value": SecretStr("xyz"),
                "status": ["says known-elsewhere"],
                "uri": "http://u:pw@host/x",
                "use_auth": True,
                "password": None,
                "steps": 3,
            }
        )
        assert shown == {
            "token": "***",
            "pin": "***",
            "credentials": "***",
            "value": "***",
            "status": ["says ***"],
            "uri": "http://u:***@host/x",
            "use_auth": True,
            "password": None,
            "steps": 3,
        }

    def test_attrs_instances(self):
        @attrs.define
        class Settings:
            api_key: str
            code: int = attrs.field(metadata={"secret": True})
            host: str = "h"

        assert mask([Settings("k", 7)]) == [{"api_key": "***", "code": "***", "host": "h"}]

    def test_a_structure_that_holds_itself(self):
        loop = {"a": 1}
        loop["self"] = loop
        assert mask(loop) == {"a": 1, "self": "..."}


class TestRedact:
    def test_spellings(self):
        value = "p@ss wörd/'\"\\+&"
        register_secret(value)
        for text in (
            value,
            repr(value),
            repr(value.encode()),
            json.dumps({"x": value}),
            json.dumps(value, ensure_ascii=False),
            f"?key={urllib.parse.quote(value)}",
            f"?key={urllib.parse.quote(value, safe='')}",
            f"?key={urllib.parse.quote_plus(value).lower()}" if value.islower() else value,
            urllib.parse.urlencode({"key": value}),
        ):
            assert "***" in redact(text)
            assert "rd" not in redact(text).replace("wörd", "")
            assert "ss" not in redact(text)

    def test_the_longest_is_replaced_first_and_no_end_stays_behind(self):
        for value in ("abcd", "abcdefgh", "ghijkl"):
            register_secret(value)
        assert redact("x abcdefgh y abcd z") == "x *** y *** z"
        assert redact("x abcdefghijkl y") == "x *** y"
        assert redact("abcdabcd") == "***"

    def test_lines_of_a_key(self):
        register_secret("-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQ\n-----END KEY-----")
        assert redact("    MIIEvQIBADANBg") == "    ***"

    @pytest.mark.parametrize("value", ["", "abc", "a  ", True, None, "true", "None"])
    def test_short_and_ordinary_values_do_not_garble_everything(self, value):
        register_secret(value)
        text = "abc is None or true"
        assert redact(text) == text

    def test_but_they_are_replaced_where_the_caller_knows_better(self):
        assert redact("bad pin: 42", also=[42]) == "bad pin: ***"

    def test_passwords_in_urls_need_not_be_known(self):
        assert (
            redact("cannot reach https://ann:hunter2@host:80/a") == "cannot reach https://ann:***@host:80/a"
        )
        assert redact("see http://host:80/a@b") == "see http://host:80/a@b"


values = st.text(
    st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=4, max_size=20
).filter(lambda value: len(value.strip()) >= 4)
spellings = st.sampled_from(
    [
        str,
        lambda value: repr(value)[1:-1],
        lambda value: repr(value.encode())[2:-1],
        lambda value: json.dumps(value)[1:-1],
        urllib.parse.quote,
        urllib.parse.quote_plus,
    ]
)
noise = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


@given(st.lists(values, min_size=1, max_size=4), st.lists(noise, max_size=4), spellings, st.randoms())
def test_no_secret_survives_redaction(known, between, spelling, order):
    pieces = [*map(spelling, known), *between]
    order.shuffle(pieces)
    redacted = redaction._replace(redaction._pattern_of(known), "".join(pieces))
    assert [value for value in known if value in redacted or spelling(value) in redacted] == []


@given(st.text(st.characters(exclude_characters="*:@")), values)
def test_redaction_changes_nothing_else(text, value):
    assume(not any(form in text for form in redaction._forms(value)))
    assert redaction._replace(redaction._pattern_of([value]), text) == text


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(nested, st.sampled_from(["token", "db_password", "apiKey"]), st.integers(0, 2**32))
def test_masking_hides_what_sealing_sealed(values, key, number):
    canary = f"canary-{number:010d}"
    sealed = seal({"outer": [values, {key: canary}]})
    assert sealed == {"outer": [values, {key: canary}]}
    for shown in (repr(sealed), repr(mask(sealed)), json.dumps(mask(sealed)), str(copy.deepcopy(sealed))):
        assert canary not in shown
    redaction._registry._values.clear()


def test_traceback_text():
    token = SecretStr("tok-traceback-1")

    def connect():
        raise ConnectionError(f"401 for token {token}")

    try:
        connect()
    except ConnectionError as error:
        try:
            raise RuntimeError("plugin failed") from error
        except RuntimeError as outer:
            text = format_exception(outer)
    assert "tok-traceback-1" not in text
    assert "ConnectionError: 401 for token ***" in text
    assert "in connect" in text


def test_log_records(caplog):
    SecretStr("tok-logged-1")
    log = logging.getLogger("tests.secrets")
    log.addFilter(redact_record)
    try:
        log.warning("token %s refused", "tok-logged-1")
        log.warning("%d arguments do not fit tok-logged-1", "tok-logged-1")
        try:
            raise ValueError("tok-logged-1")
        except ValueError:
            log.exception("failed with %s", {"t": "tok-logged-1"})
    finally:
        log.removeFilter(redact_record)
    assert len(caplog.records) == 3
    assert "tok-logged-1" not in caplog.text
    assert "token *** refused" in caplog.text


def test_many_secrets_stay_quick_to_look_for():
    generator = random.Random(1)
    known = [f"{generator.getrandbits(128):032x}" for _ in range(500)]
    for value in known:
        register_secret(value)
    assert redact(" ".join(known)) == " ".join(["***"] * len(known))


class TestSecretNumbers:
    @pytest.mark.parametrize(("value", "secret"), [(42, SecretInt(42)), (1.5, SecretFloat(1.5))])
    def test_they_are_the_value_to_whoever_uses_them(self, value, secret):
        assert secret == value
        assert secret + 1 == value + 1
        assert str(secret) == f"{secret}" == str(value)
        assert type(secret.reveal()) is type(value)
        assert type(pickle.loads(pickle.dumps(copy.deepcopy(secret)))) is type(secret)

    def test_and_do_not_show_themselves(self):
        sealed = seal({"pin": 42, "passwords": [1.5, 7], "use_token": True, "auth": None})
        assert repr(sealed) == "{'pin': '***', 'passwords': ['***', '***'], 'use_token': True, 'auth': None}"
        assert mask([*sealed.values()]) == ["***", ["***", "***"], True, None]
        assert json.loads(json.dumps(sealed)) == {
            "pin": 42,
            "passwords": [1.5, 7],
            "use_token": True,
            "auth": None,
        }
