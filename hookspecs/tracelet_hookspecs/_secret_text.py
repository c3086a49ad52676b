"""Secrets in texts: found by their own form, or by the name in front of them.

If in doubt, these functions mask: a hidden fact does less harm than a visible secret. Every pattern is
bounded, so that the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from tracelet_hookspecs._secret_names import Suspicion, is_ordinary, is_secret_value, suspicion

MASK: Final = "***"

# No text without one of these holds anything to mask.
_TRIGGER: Final = re.compile(
    r"://|[=:]|--|(?<!\w)-[A-Za-z]{2}|\b(?:Bearer|Basic|Token|password|passwd)\s|[\w-]{12}", re.IGNORECASE
)
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
# user:password@ of a URL, in which a password should have no @ and no slash, but often has. It ends before the last
# @ of the URL, unless what follows an earlier one is certainly a host. The end of a quoted text and the next URL
# end the search.
_ENDS: Final = r"(?:[\s<>]|[\"'](?=[\s,:;\])}]|$)|$)"
_HOST: Final = r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+(?::\d+)?"
_HOST_FOLLOWS: Final = rf"(?={_HOST}(?:[/?#,;\])}}]|{_ENDS})|[^@\s<>\"']{{1,2000}}{_ENDS})"
USERINFO: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{0,40}://)"
    rf"(?:(?P<strict>[^/?#\s]{{0,2000}})@(?![/?#\s]|$){_HOST_FOLLOWS}"
    r"|(?P<open>[^/?#\s:@]{0,500}:(?!\d{1,5}(?:[/?#\s]|$))(?:(?![\"'][\s,:;\])}]|://)\S){0,2000})@(?![/?#\s]|$)"
    r"|(?P<rest>[^/?#\s]{0,2000})@(?![/?#\s]|$))"
)
_WEBHOOK: Final = re.compile(
    r"(https://(?:hooks\.slack\.com/\w+|(?:\w+\.)?discord(?:app)?\.com/api/webhooks|[\w.-]*webhook\.office\.com"
    r"|outlook\.office\.com/webhook|api\.telegram\.org/bot|chat\.googleapis\.com/v1))[^\s\"'<>]+"
)
# Tokens that services mark as such by their first letters.
_KNOWN_TOKENS: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?=[\w-]{0,60}[0-9A-Z])[\w-]{16,}|[rs]k_(?:live|test)_\w{10,}|gh[pousr]_[A-Za-z0-9]{16,}"
    r"|github_pat_\w{16,}|gl(?:pat|dt|rt|ptt|ft|cbt|soat|oas|agent)-[\w.-]{16,}|(?:hf|api_org)_[A-Za-z0-9]{16,}"
    r"|xox[abceoprs]-[\w-]{10,}|xapp-[\w-]{10,}|A(?:KIA|SIA)[0-9A-Z]{16}|AIza[\w-]{35}|ya29\.[\w-]{20,}"
    r"|eyJ[\w-]{10,}\.[\w-]+\.[\w-]*|npm_[A-Za-z0-9]{30,}|pypi-Ag[\w-]{20,}|dckr_pat_[\w-]{16,}|do[opr]_v1_\w{32,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|(?:gsk|xai|r8|rpa|pplx|tgp_v1|wandb_v\d)[_-](?=\w{0,60}[0-9A-Z])\w{24,}"
    r"|nvapi-[\w-]{20,}|dapi[0-9a-f]{32}|glsa_\w{20,}|hv[bs]\.[\w-]{20,}|shp(?:at|ss|ca|pa)_\w{20,}|whsec_\w{16,}"
    r"|GOCSPX-[\w-]{20,}|dp\.(?:st|pt|ct|sa)\.[\w.-]{20,}|SK[0-9a-f]{32}(?![A-Za-z0-9])|local-[0-9a-f]{40}"
    r"|[\w.~-]{3}\dQ~[\w.~-]{31,}|PMAK-[\w-]{20,}|figd_[\w-]{20,}|CFPAT-[\w-]{20,}|rubygems_[0-9a-f]{48}"
    r"|ATATT3[\w=-]{20,}|AGE-SECRET-KEY-1\w{20,}|lin_api_\w{20,}|tskey-[\w-]{16,}|\d{8,10}:AA[\w-]{33}"
    r")"
)
_SEVERAL_WORDS: Final = re.compile(r"(?:sk|gsk|xai|r8|rpa)[_-][A-Za-z0-9]{1,20}[_-]")
_SCHEME: Final = re.compile(r"\b(Bearer|Basic|Token|ApiKey|Digest|Negotiate)(\s+)([\w+/=.~-]{8,})")
_NETRC: Final = re.compile(r"(\b(?:login|machine|account)\s+\S{1,300}\s+password\s+)(\S+)")
_QUERY_SIGNATURE: Final = re.compile(
    r"([?&](?:amp;)?(?:sig|signature|x-amz-signature|x-amz-credential|x-goog-signature|x-goog-credential|code)=)"
    r"[^&\s\"'<>]+",
    re.IGNORECASE,
)
# NAME=value, "name": value, Name: value; and the option of a command line within a text.
_NAMED: Final = re.compile(
    r"""(?<![\w.-])(?:([\w.-]{1,100})(\\{0,4}["']\]?)?\s{0,8}([=:])(?!=)\s{0,8}"""
    r"""|(--?[\w.-]{1,100})["']?,?\s{1,8}(?=["']?[^\s"',-]))"""
)
_QUOTE: Final = re.compile(r"""[rbf]?(\\{0,4}["'])""")
_SCHEME_VALUE: Final = re.compile(r"(?:Bearer|Basic|Token|ApiKey|Digest|Negotiate)\s+[^\s\"',]+")
_PLAIN_VALUE: Final = re.compile(r"""(?:[^\s&;"'<>]|["'](?![\s,;)\]}]|$))+""")
_REST_OF_LINE: Final = re.compile(r"""(?:[^\r\n"'\\]|["'](?![\s,;)\]}]|$))+""")
_TRAILING: Final = "),]}.:"
_PLACEHOLDER: Final = re.compile(r"\$?\{[^{}]{0,80}\}|\$\w+|%\(\w+\)s|%s|<[\w -]{1,40}>|\*{3,}|\.\.\.")
# What follows `plugins.x.password:` in messages about a password.
_WORDING: Final = re.compile(
    r"(?:expected|unknown|found|missing|required|is|must|does|cannot|not|no|a|an|the|invalid|type)(?=\s|$)"
)
_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_FOLDER: Final = re.compile(r"""["']?(?:[/~.$]|[A-Za-z]:[\\/])""")
_OPENING: Final = frozenset("[{(")
_LONGEST_LIST: Final = 10_000  # characters of a list whose values decide

#: Parts of the names of programs whose options hold secrets, and of what reads a secret from a pipe.
_COMMAND_STEMS: Final = (
    *(
        "mysql",
        "mariadb",
        "mongo",
        "ldap",
        "docker",
        "podman",
        "nerdctl",
        "buildah",
        "skopeo",
        "helm",
        "oras",
        "crane",
    ),
    *(
        "redis-",
        "valkey-",
        "7z",
        "rar",
        "zip",
        "sqlcmd",
        "bcp",
        "tsql",
        "ipmitool",
        "mosquitto_",
        "cqlsh",
        "rabbitmq",
    ),
    *(
        "twine",
        "cypher-shell",
        "smbclient",
        "rpcclient",
        "sshpass",
        "curl",
        "ftp",
        "aws ",
        "aws'",
        'aws"',
        "-stdin",
    ),
    *(
        "sudo",
        "http ",
        "http'",
        'http"',
        "https ",
        "https'",
        'https"',
        "xh ",
        "xh'",
        'xh"',
        "oc ",
        "oc'",
        'oc"',
    ),
    *("az ", "az'", 'az"', "cf ", "cf'", 'cf"'),
)
_ASSIGNMENT: Final = re.compile(r"([-+~/]{0,2}[\w.-]+[=:])(.+)", re.DOTALL)  # a whole argument
_SEVERAL_SECRETS: Final = re.compile(r"(?:key|token|secret|password|cred|credential)s$", re.IGNORECASE)
_CONFIG_NAME: Final = re.compile(r"[A-Za-z_][\w.]{0,100}")  # of a pair: `opts WANDB.API_KEY ...`
_USER_OPTIONS: Final = frozenset({"-u", "-U", "--user", "--proxy-user", "--basic-auth", "--userpwd"})
_USER_AND_PASSWORD: Final = re.compile(r"([^:\s/]{0,100}):(?!\d+$)(?!//)(.+)", re.DOTALL)


def mask_text(text: str) -> str:
    """Return a text with everything that looks like a secret replaced by ``***``.

    Found are passwords in URLs, tokens of known services, private keys, authorization headers, and values
    behind the name of a secret (``password=...``, ``"api_key": "..."``, ``--token ...``) or in the options of
    programs that take one (``mysql -p...``, ``curl -u me:...``).
    """
    if may_hold_command(text):
        text = _mask_commands(text)
    if not _TRIGGER.search(text):
        return text
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(MASK, text)
    if "://" in text:
        text = _QUERY_SIGNATURE.sub(rf"\1{MASK}", _WEBHOOK.sub(rf"\1/{MASK}", USERINFO.sub(_userinfo, text)))
    text = _KNOWN_TOKENS.sub(_known_token, text)
    text = _SCHEME.sub(_scheme, text)
    if "password" in text:
        text = _NETRC.sub(rf"\1{MASK}", text)
    return _mask_named(text)


def may_hold_command(text: str) -> bool:
    """Say whether a text may hold one of the programs whose options the module ``_secret_commands`` knows.

    That module is imported only then: most runs never need it.
    """
    return any(stem in text for stem in _COMMAND_STEMS)


def _mask_commands(text: str) -> str:
    from tracelet_hookspecs._secret_commands import find_command_secrets

    kept: list[str] = []
    done = 0
    for start, end in sorted(find_command_secrets(text)):
        if start >= done and not _PLACEHOLDER.fullmatch(text, start, end):
            kept += [text[done:start], MASK]
            done = end
    return "".join([*kept, text[done:]]) if kept else text


def userinfo_of(match: re.Match[str]) -> str:
    """Return what :data:`USERINFO` found between ``://`` and ``@``."""
    return match["strict"] or match["open"] or match["rest"] or ""


def _userinfo(match: re.Match[str]) -> str:
    """Mask what is before the ``@`` of a URL; a user's name stays if it is not a token (``git``, ``postgres``)."""
    user, colon, _ = userinfo_of(match).partition(":")
    if not colon:
        return match.group() if is_ordinary(user) or not user else f"{match[1]}{MASK}@"
    return f"{match[1]}{user if is_ordinary(user) else MASK}:{MASK}@"


def _known_token(match: re.Match[str]) -> str:
    """Mask a token of a service, but not words that only begin like one (``sk-learn-baseline-1``)."""
    text = match.group()
    return text if _SEVERAL_WORDS.match(text) and is_ordinary(text) else MASK


def _scheme(match: re.Match[str]) -> str:
    return match.group() if is_ordinary(match[3]) else f"{match[1]}{match[2]}{MASK}"


def _mask_named(text: str) -> str:
    kept: list[str] = []
    done = position = 0
    while named := _NAMED.search(text, position):
        position = named.end()
        name = named[1] or named[4]
        level = suspicion(name)
        if name == "PWD" and not _FOLDER.match(text, position):
            level = Suspicion.TEXT  # of a connection string: `UID=sa;PWD=...`
        if level is Suspicion.NONE:
            continue
        span = _secret_span(text, position, name, level, spoken=named[3] == ":" and not named[2])
        if span is not None:
            kept += [text[done : span[0]], MASK]
            done = position = span[1]
    return "".join([*kept, text[done:]]) if kept else text


def _secret_span(text: str, at: int, name: str, level: Suspicion, *, spoken: bool) -> tuple[int, int] | None:
    """Return the start and end of the value at a position, if it is a secret; ``spoken``: as in ``Name: value``."""
    is_header = name.lower() in _HEADERS
    if _PLACEHOLDER.match(text, at) or (spoken and not is_header and _WORDING.match(text, at)):
        return None
    if quoted := _QUOTE.match(text, at):
        start, end = quoted.end(), _end_of_quoted(text, quoted.end(), quoted[1])
        return (start, end) if _is_value(text[start:end], level) else None
    if text[at : at + 1] in _OPENING:
        end = _end_of_bracket(text, at, len(text) if level > Suspicion.VALUE else at + _LONGEST_LIST)
        return (at, end) if level > Suspicion.VALUE or _holds_secret(text[at:end]) else None
    pattern = _REST_OF_LINE if is_header else _PLAIN_VALUE
    value = _SCHEME_VALUE.match(text, at) or pattern.match(text, at)
    if value is None:
        return None
    shown = value.group().rstrip(_TRAILING)
    return (at, at + len(shown)) if shown and _is_value(shown, level) else None


def _is_value(value: str, level: Suspicion) -> bool:
    return _PLACEHOLDER.fullmatch(value) is None and is_secret_value(value, level)


def _holds_secret(text: str) -> bool:
    return any(not is_ordinary(each) for each in re.findall(r"""["']([^"']*)["']""", text))


def _end_of_quoted(text: str, at: int, quote: str) -> int:
    """Return where a quoted text ends: before the same quote, which is not escaped, or with the text."""
    while (end := text.find(quote, at)) >= 0:
        first = end
        while first > at and text[first - 1] == "\\":
            first -= 1
        if len(quote) > 1 or (end - first) % 2 == 0:
            return end
        at = end + 1
    return len(text)


def _end_of_bracket(text: str, at: int, limit: int) -> int:
    """Return where a bracket closes, quoted texts aside, or the end of the text (or the limit)."""
    open_brackets = 0
    end_of_text = min(len(text), limit)
    while at < end_of_text:
        each = text[at]
        if each in "\"'":
            at = _end_of_quoted(text, at + 1, each)
        elif each in "[{(":
            open_brackets += 1
        elif each in "]})":
            open_brackets -= 1
            if open_brackets == 0:
                return at + 1
        at += 1
    return end_of_text


def mask_arguments(arguments: Sequence[str], *, mask: Callable[[str], str] = mask_text) -> list[str]:
    """Return a command line with the values of secret options, assignments, headers and URLs masked.

    ``mask`` is applied to the arguments that are shown.
    """
    shown: list[str] = []
    level, has_several, user_follows = Suspicion.NONE, False, False
    options: dict[int, int] = {}
    if may_hold_command(" ".join(arguments) + " "):
        from tracelet_hookspecs._secret_commands import find_secret_arguments

        options = find_secret_arguments(arguments)
    for place, argument in enumerate(arguments):
        follows = level > Suspicion.NONE and not argument.startswith("--")
        if place in options and not _PLACEHOLDER.fullmatch(argument, options[place]):
            shown.append(argument[: options[place]] + MASK)
        elif follows and is_secret_value(argument, level):
            shown.append(MASK)
        elif user_follows and (given := _USER_AND_PASSWORD.fullmatch(argument)):
            shown.append(f"{given[1]}:{MASK}")
        else:
            shown.append(_mask_argument(argument, mask))
        if argument.startswith("-"):
            has_several = _SEVERAL_SECRETS.search(argument) is not None
        level = _level_of_next(argument, level if follows and has_several else Suspicion.NONE)
        user_follows = argument in _USER_OPTIONS
    return shown


def _level_of_next(argument: str, level: Suspicion) -> Suspicion:
    """Return how suspicious the argument after this one is; ``level`` is that of this one, if it may have company."""
    if argument.startswith("-"):
        return (
            suspicion(argument.lstrip("-")) if "=" not in argument and ":" not in argument else Suspicion.NONE
        )
    if level > Suspicion.NONE:
        return level
    is_name = _CONFIG_NAME.fullmatch(argument) and suspicion(argument) >= Suspicion.TEXT
    return Suspicion.VALUE if is_name else Suspicion.NONE


def _mask_argument(argument: str, mask: Callable[[str], str]) -> str:
    assignment = _ASSIGNMENT.fullmatch(argument)
    if assignment is not None:
        name, value = assignment[1][:-1], assignment[2]
        if is_secret_value(value.strip(), suspicion(name.lstrip("-+~/"))) and not argument.startswith("//"):
            return assignment[1] + MASK
        if name in _USER_OPTIONS and (given := _USER_AND_PASSWORD.fullmatch(value)):
            return f"{assignment[1]}{given[1]}:{MASK}"
    return mask(argument)
