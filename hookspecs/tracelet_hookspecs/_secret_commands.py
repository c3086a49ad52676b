"""Secrets in the options of programs whose options do not say so: ``mysql -pX``, ``curl -u me:X``, ``sshpass -p X``.

``-p`` and ``-u`` mean something else almost everywhere, so they count only after the name of one of these programs, up
to the end of that command. The forms are those of a shell and of a list of arguments (``['mysql', '-pX']``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

Span = tuple[int, int]

_FURTHEST: Final = 2000  # characters between the name of a program and an option
_OVERLAP: Final = (
    4  # names of programs that a command may hold (`docker login -u docker`) before the next begins
)
_NOTHING: Final = r"(?!)"


class _Options(NamedTuple):
    """The options of a program that take a secret: alone, only attached to the option, or behind a user's name."""

    value: str = ""
    attached: str = ""
    user: str = ""
    word: str = ""  # words in front of one
    after: str = ""  # a word that must come before: `docker login`, not `docker run -p 80:80`


_MYSQL: Final = _Options(attached="p")
_MONGO: Final = _Options(value="p")
_LDAP: Final = _Options(value="w")
_REGISTRY: Final = _Options(value="p", after="login")
_REDIS: Final = _Options(value="a")
_ARCHIVE: Final = _Options(attached="p")

#: By the beginning of a program's name. The longest one counts.
_PROGRAMS: Final[dict[str, _Options]] = {
    **dict.fromkeys(("mysql", "mysqldump", "mysqlimport", "mysqlcheck", "mysqlshow"), _MYSQL),
    **dict.fromkeys(("mysqlsh", "mysqlbinlog", "mysqlpump", "mysqlslap"), _MYSQL),
    **dict.fromkeys(("mariadb", "mariadb-dump", "mariadb-admin", "mariadb-import"), _MYSQL),
    **dict.fromkeys(("mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport"), _MONGO),
    **dict.fromkeys(("ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldapwhoami", "ldappasswd"), _LDAP),
    **dict.fromkeys(("docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "oras", "crane"), _REGISTRY),
    **dict.fromkeys(("oc", "az", "cf"), _REGISTRY),
    **dict.fromkeys(("redis-cli", "valkey-cli", "redis-benchmark"), _REDIS),
    **dict.fromkeys(("7z", "7za", "7zz", "rar", "unrar"), _ARCHIVE),
    **dict.fromkeys(("zip", "unzip"), _Options(value="P")),
    **dict.fromkeys(("sqlcmd", "bcp", "tsql", "ipmitool"), _Options(value="P")),
    **dict.fromkeys(("mosquitto_pub", "mosquitto_sub"), _Options(value="P")),
    **dict.fromkeys(("cqlsh", "rabbitmqadmin", "twine", "cypher-shell"), _Options(value="p")),
    **dict.fromkeys(("smbclient", "rpcclient"), _Options(user="U")),
    **dict.fromkeys(("http", "https", "xh"), _Options(user="a")),
    "sshpass": _Options(value="p"),
    "mysqladmin": _Options(attached="p", word="password"),
    "aws": _Options(word="aws_secret_access_key|aws_session_token"),
    "curl": _Options(user="uU"),
    "lftp": _Options(user="u"),
    "ftp": _Options(user="u"),
}
_LONG_USER: Final = r"--user|--proxy-user|--auth"
_NAME: Final = re.compile("(?:" + "|".join(sorted(map(re.escape, _PROGRAMS), key=len, reverse=True)) + ")")
_END: Final = re.compile(
    r"""(?:"(?:[^"\\\n]|\\.){0,500}"|'[^'\n]{0,500}')|(?P<end>[\r\n;]|\|\s|\|\||&&|\s&\s)"""  # not within quotes
)
_BETWEEN: Final = r"""(?:=|["']?\s*,?\s*)"""  # an option and its value, in a shell and in a list
_CLOSING: Final = r"""["'](?:[\s,)\]]|$)"""
_QUOTED: Final = re.compile(r"""\\{0,4}(["'])""")
_PLAIN: Final = re.compile(r"""(?:[^\s;"'<>|]|["'](?![\s,;)\]}]|$))+""")
_USER: Final = re.compile(r"[^:%,\s/\"']{0,100}[:%,](?!//)")
_PIPED: Final = re.compile(
    r"""\becho\s+(?:-\w+\s+)?(["']?)([^\s"'|]{1,500}|(?<=["'])[^"'|\n]{1,500})\1\s*\|"""
    r"""\s*(?:sudo\s[^|;\n]{0,200}?)?(?:sudo\s+(?:-\w+\s+)*?-\w*S|[\w./-]{1,100}\s[^|;\n]{0,500}?-stdin\b)"""
)


def find_command_secrets(text: str) -> Iterator[Span]:
    """Yield where the secrets in options of known programs are. The time is linear in the length of the text."""
    names = [match for match in _NAME.finditer(text) if _is_command(text, *match.span())]
    for place, match in enumerate(names):
        behind = names[place + _OVERLAP : place + _OVERLAP + 1]
        limit = min(match.end() + _FURTHEST, behind[0].start() if behind else len(text))
        is_quoted = text[match.end()] in "\"'"
        yield from _find_options(text, match.end() + is_quoted, limit, _PROGRAMS[match.group()])
    for piped in _PIPED.finditer(text):
        yield piped.span(2)


def _is_command(text: str, start: int, end: int) -> bool:
    before, behind = text[start - 1 : start], text[end : end + 1]
    return not (before.isalnum() or before in ("_", "-", ".")) and behind != "" and behind in " \t\"',"


def _find_options(text: str, at: int, limit: int, options: _Options) -> Iterator[Span]:
    ends = (match.start() for match in _END.finditer(text, at, limit) if match["end"])
    limit = next(ends, limit)
    if options.after:
        login = re.compile(rf"[\s\"']{options.after}(?=[\s\"'])").search(text, at - 1, limit)
        if login is None:
            return
        at = login.end()
    for option in _pattern_of(options).finditer(text, at, limit):
        quote = text[option.start() - 1]
        in_list = quote in "\"'" and quote not in option.group()  # '-pX', of a list of arguments
        span = _span_of_value(
            text, option.end(), quote if in_list else "", is_user=option["user"] is not None
        )
        if span is not None:
            yield span


_patterns: dict[_Options, re.Pattern[str]] = {}


def _pattern_of(options: _Options) -> re.Pattern[str]:
    if options not in _patterns:
        value = rf"-[A-Za-z]{{0,2}}[{options.value}]{_BETWEEN}" if options.value else _NOTHING
        attached = rf"-[{options.attached}](?=[^\s,])(?!{_CLOSING})" if options.attached else _NOTHING
        user = rf"(?:-[A-Za-z]{{0,8}}[{options.user}]|{_LONG_USER}){_BETWEEN}" if options.user else _NOTHING
        word = rf"""(?:{options.word})(?:\s+|["'],\s*(?=["']))""" if options.word else _NOTHING
        _patterns[options] = re.compile(rf"""(?<=[\s"'])(?:(?P<user>{user})|{attached}|{value}|{word})""")
    return _patterns[options]


def _span_of_value(text: str, at: int, quote: str, *, is_user: bool) -> Span | None:
    """Return where the secret at a position is; ``quote``: the one that ends it, if any is open."""
    quoted = None if quote else _QUOTED.match(text, at)
    start = quoted.end() if quoted else at
    if quote or quoted:
        end = text.find(quote or (quoted[1] if quoted else ""), start)
        end = len(text) if end < 0 else end
        end -= len(text[start:end]) - len(text[start:end].rstrip("\\"))
    else:
        plain = _PLAIN.match(text, at)
        end = at + len(plain.group().rstrip(")],}")) if plain else at
    if is_user:
        user = _USER.match(text, start, end)
        if user is None:
            return None
        start = user.end()
    return (start, end) if start < end else None


def find_secret_arguments(arguments: Sequence[str]) -> dict[int, int]:
    """Return the arguments that hold a secret of a known program's options, each with where it starts."""
    found: dict[int, int] = {}
    for place, argument in enumerate(arguments):
        options = _PROGRAMS.get(argument.rpartition("/")[2])
        if options is not None:
            found.update(_find_in_arguments(arguments, place + 1, options))
    return found


def _find_in_arguments(arguments: Sequence[str], first: int, options: _Options) -> Iterator[tuple[int, int]]:
    pattern = _pattern_of(options)
    is_on = not options.after
    for place in range(first, len(arguments)):
        argument = arguments[place]
        is_on = is_on or argument == options.after
        if options.word and re.fullmatch(options.word, argument) and place + 1 < len(arguments):
            yield place + 1, 0
        option = pattern.match(f" {argument}", 1) if is_on else None
        if option is None:
            continue
        start = option.end() - 1
        if start == len(argument):
            place, start = place + 1, 0
        if place == len(arguments):
            return
        if option["user"] is not None:
            user = _USER.match(arguments[place], start)
            if user is None:
                continue
            start = user.end()
        yield place, start
