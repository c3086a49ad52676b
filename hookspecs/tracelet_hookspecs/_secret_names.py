"""Which names hold secrets, and which values under them are secret.

A training has many harmless parameters whose names contain "token" or "key" (``eos_token``, ``label_key``,
``max_tokens``), so a name alone rarely decides. Each name has a :class:`Suspicion`; for the lower ones the
value decides.
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SEGMENT: Final = re.compile(r"[/.\[\]]+")

# Parts of a word that leave no doubt: `PGPASSWORD`, `clientSecret`, `dbpasswd`.
_CERTAIN_PARTS: Final = (
    *("password", "passwd", "passphrase", "passcode", "passwort", "kennwort", "credential"),
    *("apikey", "accesskey", "secretkey", "privatekey"),
)
_CERTAIN_WORDS: Final = frozenset({"authorization", "dsn", "jwt"})
_TEXT_WORDS: Final = frozenset({"auth", "bearer", "cookie", "cookies", "cred", "creds", "sas"})
_TEXT_LAST_WORDS: Final = frozenset({"pass", "pat", "pwd", "webhook"})
_KEY: Final = frozenset({"key", "keys"})
_TOKEN: Final = frozenset({"token", "tokens"})
# Words that mark a key or token as a credential, rather than as one of a mapping or a tokenizer.
_KEY_OF: Final = frozenset(
    (
        *(
            "access",
            "account",
            "admin",
            "api",
            "auth",
            "aws",
            "azure",
            "clearml",
            "comet",
            "crypto",
            "decryption",
        ),
        *(
            "deploy",
            "encrypt",
            "encryption",
            "gcp",
            "google",
            "gpg",
            "hf",
            "hmac",
            "ingest",
            "license",
            "master",
        ),
        *("mlflow", "neptune", "openai", "anthropic", "pgp", "private", "rsa", "secret", "service", "shared"),
        *("signing", "ssh", "storage", "subscription", "tls", "ssl", "wandb"),
    )
)
_OPENS: Final = frozenset({"access", "api", "private", "secret"})
_TOKEN_OF: Final = _KEY_OF | frozenset(
    (
        *(
            "bearer",
            "bot",
            "client",
            "cloud",
            "csrf",
            "databricks",
            "discord",
            "docker",
            "gh",
            "github",
            "gitlab",
        ),
        *("hub", "huggingface", "id", "influx", "login", "npm", "oauth", "personal", "pypi", "refresh"),
        *("registry", "security", "session", "slack", "telegram", "user", "vault", "xsrf"),
    )
)
# A last word that says the value is about a secret (`token_url`, `key_file`) and not one itself.
_ABOUT: Final = frozenset(
    (
        *(
            "algorithm",
            "bias",
            "column",
            "count",
            "dim",
            "dims",
            "dir",
            "dropout",
            "error",
            "errors",
            "expiry",
        ),
        *("field", "file", "filename", "format", "head", "heads", "id", "ids", "index", "layer", "layers"),
        *("length", "limit", "method", "mode", "name", "names", "norm", "path", "prefix", "prob", "provider"),
        *("rate", "ratio", "shape", "size", "timeout", "ttl", "type", "types", "uri", "url", "weight"),
        *("dtype", "filter", "loss", "mixer", "quantization", "sampler", "strategy", "weights"),
    )
)
# Words that turn the rest into something counted, or into one of the tokens or keys that are no secrets.
_QUALIFIED: Final = frozenset(
    (
        *("bos", "cls", "eos", "foreign", "mask", "max", "min", "n", "num", "number", "pad", "partition"),
        *("primary", "public", "sep", "sort", "special", "total", "unk"),
    )
)
# What makes a pass one over the data or of a filter: `two_pass`, `high_pass`.
_PASS_OF: Final = frozenset(
    ("backward", "band", "first", "forward", "high", "low", "multi", "one", "second", "single", "two")
)
_PASSWORD_OR_CODE: Final = frozenset({"otp", "pswd", "pw", "totp"})
_WORKING_FOLDERS: Final = frozenset({"PWD", "OLDPWD"})
_WEBHOOK: Final = frozenset({"webhook", "webhooks"})

_NUMBER: Final = re.compile(
    r"[+-]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?(?:[kmgtb]i?b?|%)?|nan|[+-]?inf", re.IGNORECASE
)
_SEPARATORS: Final = re.compile(r"[\s/_.,;|\\#\"'()\[\]{}<>*!?-]+")
# Words, a number with its unit or its sides (`12.3k`, `5120h`, `2x32`), and names of metrics and models (`mAP50`,
# `SepConv2d`, `resnet50d`, `h100x8`).
_PLAIN_WORD: Final = re.compile(
    r"(?:[A-Z]?[a-z]{1,20}|[A-Z][a-z]+(?:[A-Z][a-z]{2,})+|[A-Z]{1,12}|[a-z]{1,2}(?:[A-Z]{1,3}[a-z]?){1,2})\d{0,2}"
    r"|(?:[a-z]{3,20}|(?:[A-Z][a-z]{2,}){1,2})(?:\d{1,3}[a-z]|\dx\d{1,2})|[a-z]\d{2,3}(?:x\d)?"
    r"|\d{1,4}(?:[a-z]{1,2}|[A-Z][a-z]?)?|\d{1,3}x\d{1,3}"
)
_NO_WORD: Final = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}", re.IGNORECASE)
_SHORTEST_PIN: Final = 1000
_LONGEST_ORDINARY: Final = 80  # characters
_SPECIAL_TOKEN: Final = re.compile(
    r"<[|/]?[a-z_]{1,20}\d{0,3}[|/]?>|\[/?[A-Z_]{1,12}\d{0,3}\]", re.IGNORECASE
)
_SAYS_NOTHING: Final = frozenset({"", "true", "false", "none", "null", "yes", "no", "on", "off"})


class Suspicion(enum.IntEnum):
    """How strongly a name suggests that its value is a secret."""

    NONE = 0
    VALUE = 1  # the value decides: `key`, `tokens`, `session_key`
    TEXT = 2  # every text is a secret, a number is not: `token`, `hf_token`, `auth`
    ANY = 3  # everything except booleans and small numbers is a secret: `password`, `api_key`, `pin`


def suspicion(name: object) -> Suspicion:
    """Return how suspicious a name is; a name with ``/`` or ``.`` is as suspicious as its worst part."""
    if not isinstance(name, str) or name in _WORKING_FOLDERS:
        return Suspicion.NONE
    return _worst_part(name[-200:])


@lru_cache(maxsize=4096)
def _worst_part(name: str) -> Suspicion:
    parts = _SEGMENT.split(name)
    if "packages" in parts[:-1]:  # `packages/google-auth`: names of distributions, with their versions
        return Suspicion.NONE
    return max(map(_suspicion, parts), default=Suspicion.NONE)


def _suspicion(segment: str) -> Suspicion:
    words = [word.lower() for word in _WORD.findall(segment)]
    if not words:
        return Suspicion.NONE
    last = words[-1]
    if not _WEBHOOK.isdisjoint(words) and last in {"url", "uri", *_WEBHOOK}:
        return Suspicion.TEXT
    if words[-3:] == ["access", "key", "id"]:
        return Suspicion.TEXT
    if last in _ABOUT or not _QUALIFIED.isdisjoint(words):
        return Suspicion.NONE
    if any(map(_is_certain, words)) or last == "pin":
        return Suspicion.ANY
    if last in _PASSWORD_OR_CODE:
        return Suspicion.VALUE
    if "pass" in words and not _PASS_OF.isdisjoint(words):
        return Suspicion.NONE
    return max(
        Suspicion.TEXT if not _TEXT_WORDS.isdisjoint(words) or last in _TEXT_LAST_WORDS else Suspicion.NONE,
        _of_key_or_token(words),
    )


def _is_certain(word: str) -> bool:
    if word in _CERTAIN_WORDS or any(part in word for part in _CERTAIN_PARTS):
        return True
    return "secret" in word and not any(each in word for each in ("secretar", "secrete", "secretio"))


def _of_key_or_token(words: list[str]) -> Suspicion:
    last = words[-1]
    before = set(words[:-1])
    if last in _KEY and not before.isdisjoint(_KEY_OF):
        return Suspicion.ANY
    if any(word in _OPENS and after == "key" for word, after in pairwise(words)):
        return Suspicion.ANY
    if last == "token" and (not before or not before.isdisjoint(_TOKEN_OF)):
        return Suspicion.TEXT
    if not (_KEY | _TOKEN | {"pass"}).isdisjoint(words) or any(word.endswith("token") for word in words):
        return Suspicion.VALUE
    return Suspicion.NONE


def is_secret_key(name: object) -> bool:
    """Return whether a name may hold a secret: ``api_key``, ``dbPassword``, ``HF_TOKEN``; not ``max_tokens``."""
    return suspicion(name) > Suspicion.NONE


def is_secret(name: object, value: object, *, inherited: Suspicion = Suspicion.NONE) -> bool:
    """Return whether a value (a text, a number) under this name is a secret.

    ``inherited`` is the suspicion of the table or list that it is in.
    """
    level = max(inherited, suspicion(name))
    return is_secret_value(value, level)


def is_secret_value(value: object, level: Suspicion, *, strict: bool = False) -> bool:
    """Return whether a value is a secret under a name of this suspicion.

    ``strict`` is for configurations, whose tokens and keys are rarely those of a model or a mapping: there
    numbers can be secrets as well, and words with digits in them.
    """
    if level is Suspicion.NONE or value is None or isinstance(value, bool):
        return False
    if not isinstance(value, (str, bytes)):
        if strict:
            return level >= Suspicion.TEXT and isinstance(value, (int, float))
        return level is Suspicion.ANY and isinstance(value, int) and abs(value) >= _SHORTEST_PIN
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str.__str__(value)
    if text.strip().lower() in _SAYS_NOTHING:
        return False
    if level is Suspicion.ANY:
        return True
    if _SPECIAL_TOKEN.fullmatch(text) or not any(each.isalnum() for each in text[:_LONGEST_ORDINARY]):
        return False
    if level is Suspicion.TEXT:
        return strict or not (len(text) < 4 and text.isdigit())
    if strict and any(map(str.isdigit, text)):
        return not _NUMBER.fullmatch(text.strip())
    return not is_ordinary(text)


def is_ordinary(text: str) -> bool:
    """Return whether a text is a number or a few common words (``val/loss``, ``input_ids``, ``gpt2``)."""
    text = text.strip().rstrip(":")
    if len(text) > _LONGEST_ORDINARY:
        return False
    if _NUMBER.fullmatch(text):
        return True
    words = [word for word in _SEPARATORS.split(text) if word]
    return all(_PLAIN_WORD.fullmatch(word) and not _NO_WORD.search(word) for word in words)
