"""A guest's host or path pattern: anchored RE2, bounded in every direction.

A pattern is hostile input. RE2 matches in time linear in the text, but the factor is the size
of the compiled program, so that is bounded too, and a literal never becomes a program at all.
Nor does a simple pattern (L{subproxy.core.routing.simple_pattern}). What RE2 is asked about has
been read before
and found small (L{subproxy.core.routing.pattern_scan}), and every pattern knows the time that one
match
can take, so that a table of them can be bounded (L{subproxy.core.routing.route_table}).

Text is bytes and every byte is one character (latin-1), as HTTP has it. A pattern must match
the whole host or path; a leading C{^} and a trailing C{$} are allowed and change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import IntEnum, auto
from typing import Any, Final, NamedTuple

import re2

from subproxy.core.http.a_label import advice
from subproxy.core.http.fields import IP_LITERAL, REG_NAME
from subproxy.core.http.normalise import (
    MAX_HOST,
    PLAIN,
    host_fault,
    normalise_host,
    normalise_path,
)
from subproxy.core.routing.pattern_scan import PatternFault, scan
from subproxy.core.routing.re2_syntax import META, REPEATS, WORD
from subproxy.core.routing.simple_matcher import MAX_STEPS, SimpleMatcher
from subproxy.core.routing.simple_pattern import parse, search

MAX_PATTERN: Final = 1024
"""Bytes of a pattern."""

MAX_PROGRAM: Final = 200
"""Instructions of a program that RE2 runs; C{/api/v[12](/[a-z]+)?} has about 20. A simple pattern
has none, however long it is."""

MAX_MATCHED: Final = 1024
"""Bytes of a text that a pattern is matched against; a longer one is matched by literals and
literal prefixes only. With MAX_PROGRAM it bounds the time that one match can take."""

_CALL: Final = 800
"""Nanoseconds of a match that is over with the first byte."""

_INSTRUCTION: Final = 8
"""Nanoseconds that RE2 may spend on one byte for each instruction of a program. Found by
C{tests/fuzz/search_pattern_cost.py}: it is 5 where nearly every byte needs a new state."""


class Subject(NamedTuple):
    """The kind of text that a pattern is matched against: a host or a path.

    name: for a person. characters: that it may have; bits: the same as bits of a number.
    limit: bytes of the longest that is matched by more than literals.
    """

    name: str
    characters: bytes
    bits: int
    limit: int


def _subject(name: str, characters: Iterable[int], limit: int) -> Subject:
    return Subject(name, bytes(characters), sum(1 << byte for byte in characters), limit)


ANYTHING: Final = _subject("a text", range(256), MAX_MATCHED)
HOST: Final = _subject("a host", sorted({*REG_NAME, *IP_LITERAL, *b"[]"}), MAX_HOST)
PATH: Final = _subject("a path", PLAIN + b"%", MAX_MATCHED)

_PRINTABLE: Final = bytes(range(0x20, 0x7F))

_UNFINISHED: Final = re.compile(rb"%[0-9A-F]?$")
"""What may be the beginning of an escape."""

_MAX_MEM: Final = 64 * 1024
"""Bytes RE2 may spend on one pattern; when its DFA needs more it goes on with an NFA."""

_UNSUPPORTED: Final = (
    (b"(?=", "RE2 has no look-ahead; write what should match instead"),
    (b"(?!", "RE2 has no look-ahead; write what should match instead"),
    (b"(?<=", "RE2 has no look-behind; write what should match instead"),
    (b"(?<!", "RE2 has no look-behind; write what should match instead"),
    (b"(?>", "RE2 has no atomic groups; it never backtracks, so a plain group does the same"),
    (b"(?(", "RE2 has no conditional groups; register two routes instead"),
    (b"(?#", "RE2 has no comments in patterns"),
    (b"\\Z", "RE2 has no \\Z; the pattern is anchored at both ends anyway"),
)


_NOTHING: Final = re.compile(rb"(?:\(\?[a-zA-Z^-]*\)|\\Q\\E|\\E)+")
"""What matches nothing and is no item: an operator behind it repeats what stands before it."""


class Kind(IntEnum):
    """How a pattern is matched; what is cheap to match also takes precedence."""

    LITERAL = auto()
    """One text and no other, such as C{blog\\.example}."""
    PREFIX = auto()
    """A literal beginning and then anything, such as C{/api/.*}."""
    REGEX = auto()
    """Anything else; RE2 decides."""


class RouteRefused(Exception):
    """A route that cannot be registered.

    C{code} goes into the C{refused} frame (docs/protocol.md lists them: C{pattern}, C{quota},
    C{policy}), C{reason} is for the person who wrote the pattern.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason} [{self.code}]"


class Pattern:
    """One anchored pattern. Equal patterns match the same texts.

    Attributes: C{source}, the bytes as registered; C{kind}; C{literal}, what every matching text
    begins with (the whole of it for a LITERAL); C{tail}, what it ends with, as far as that is
    known of a REGEX; C{simple}, whether it is matched without RE2 (see
    L{subproxy.core.routing.simple_pattern}); C{program},
    the number of RE2 instructions that a match may have to go through for each byte (0 if it is
    simple); C{cost}, nanoseconds that one match may take; C{ignore_case}; C{limit}, the bytes of
    the
    longest text that a REGEX is matched against.

    With C{lazy} RE2 is not asked before L{compile}, or the first match.

    Raises L{RouteRefused} with the code C{pattern}.
    """

    __slots__ = (
        "_match",
        "cost",
        "ignore_case",
        "kind",
        "limit",
        "literal",
        "program",
        "simple",
        "source",
        "tail",
    )

    def __init__(
        self,
        source: bytes,
        *,
        ignore_case: bool = False,
        lazy: bool = False,
        subject: Subject = ANYTHING,
    ) -> None:
        self.source = source
        self.ignore_case = ignore_case
        self.limit = subject.limit
        self.program = 0
        self.simple = True
        self.tail = b""
        self.cost = _CALL
        self._match: Callable[[bytes], Any] | None = None
        if not source:
            raise RouteRefused("pattern", "the pattern is empty; '.*' matches anything")
        if len(source) > MAX_PATTERN:
            raise RouteRefused(
                "pattern",
                f"the pattern has {len(source)} bytes; at most {MAX_PATTERN} are allowed",
            )
        literal, rest = _leading_literal(source, ascii_only=ignore_case)
        self.literal = literal.lower() if ignore_case else literal
        if rest in (b"", b"$"):
            self.kind = Kind.LITERAL
        elif rest in (b".*", b".*$"):
            self.kind = Kind.PREFIX
        else:
            self.kind = Kind.REGEX
            self._read(subject)
            if not lazy:
                self.compile()

    def _read(self, subject: Subject) -> None:
        """Find out what a match can cost: for a simple pattern, what it takes to match it."""
        items = parse(self.source, ignore_case=self.ignore_case)
        word = None if items is None else search(items, self.ignore_case)
        if items is not None and word is not None:
            for mask, repeat in items:
                if repeat in (0, 0x2B) and not mask & subject.bits:
                    raise _never(subject, mask)
            matcher = SimpleMatcher(items, word, ignore_case=self.ignore_case, limit=self.limit)
            if matcher.steps > MAX_STEPS:
                raise RouteRefused(
                    "pattern",
                    f"the pattern takes {matcher.steps} steps; at most {MAX_STEPS} are allowed",
                )
            self._match = matcher
            self.tail = matcher.tail
            self.cost = _CALL + matcher.cost
            return
        self.simple = False
        try:
            program, self.tail = scan(self.source, MAX_PROGRAM, ignore_case=self.ignore_case)
        except PatternFault as fault:
            raise RouteRefused("pattern", str(fault)) from None
        self._charge(program)

    def _charge(self, program: int) -> None:
        self.program = program
        self.cost = _CALL + program * _INSTRUCTION * self.limit

    def compile(self) -> bool:
        """Ask RE2, where it has to be asked; tell whether C{literal} is another then.

        Raises L{RouteRefused} with the code C{pattern}.
        """
        if self.kind is not Kind.REGEX or self._match is not None:
            return False
        compiled = _compile(self.source, self.ignore_case)
        self._match = compiled.fullmatch
        self._charge(min(self.program, int(compiled.programsize)))
        if self.literal and not _is_sound(compiled, self.literal, self.ignore_case):
            self.literal = b""
            return True
        return False

    def matches(self, text: bytes) -> bool:
        """Tell whether C{text} (lower case, if case is ignored) matches from end to end."""
        if self.kind is Kind.LITERAL:
            return text == self.literal
        if not text.startswith(self.literal):
            return False
        if self.kind is Kind.PREFIX:
            return True
        if len(text) > self.limit or not text.endswith(self.tail):
            return False
        if self._match is None:
            self.compile()
            return self.matches(text)
        return bool(self._match(text))

    @property
    def text(self) -> bytes:
        """How all equal patterns are written, whatever each escapes: what precedence looks at."""
        if self.kind is Kind.REGEX:
            return self.source
        return self.literal if self.kind is Kind.LITERAL else self.literal + b".*"

    def _key(self) -> tuple[int, bytes, bool]:
        text = self.source if self.kind is Kind.REGEX else self.literal
        return self.kind, text, self.ignore_case

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"<Pattern {self.source.decode('latin-1')} {self.kind.name.lower()}>"


def host_pattern(source: bytes, *, lazy: bool = False) -> Pattern:
    """Return the pattern of a host: case is ignored, port and final dot are not seen.

    What no valid Host field can name is refused: a port, an empty host, and characters that no
    host has. With C{lazy} RE2 is not asked; see L{Pattern}.
    """
    if not source.isascii():
        raise RouteRefused("pattern", f"a host is ASCII; {advice(source)}")
    _check_printable(source)
    pattern = Pattern(source, ignore_case=True, lazy=lazy, subject=HOST)
    if pattern.kind is Kind.LITERAL:
        plain = normalise_host(pattern.literal)
        if plain != pattern.literal.rstrip(b"."):
            raise RouteRefused("pattern", "a host is matched without its port; leave the port out")
        if not plain:
            raise RouteRefused("pattern", "the host is empty; '.*' matches any host")
        fault = host_fault(plain)
        if fault is not None:
            raise RouteRefused("pattern", f"no request can name that host: {fault}")
        pattern.literal = plain
        return pattern
    for piece in (pattern.literal, pattern.tail):
        if b":" in piece and piece[:1] != b"[" and piece[-1:] != b"]":
            raise RouteRefused("pattern", "a host is matched without its port; leave the port out")
    _check_ends(pattern, HOST)
    return pattern


def path_pattern(source: bytes, *, lazy: bool = False) -> Pattern:
    """Return the pattern of a path.

    What could never match a normalised path is refused: what cannot begin with a slash, and a
    literal, or literal beginning, in another spelling than the normal one. With C{lazy} RE2 is
    not asked; see L{Pattern}.
    """
    if not source.isascii():
        pattern = Pattern(source, lazy=True)
        if pattern.kind is not Kind.LITERAL:
            raise RouteRefused("pattern", "a path is ASCII; write other bytes as %XX")
    else:
        _check_printable(source)
        pattern = Pattern(source, lazy=lazy, subject=PATH)
    if pattern.literal and not pattern.literal.startswith(b"/"):
        raise RouteRefused("pattern", "a path begins with '/', so the pattern must too")
    if pattern.kind is Kind.LITERAL:
        normal = normalise_path(pattern.literal)
        if normal != pattern.literal:
            raise RouteRefused(
                "pattern",
                "a path is matched in its normal form, which is here "
                + escape(normal).decode("latin-1"),
            )
        return pattern
    if b"?" in pattern.literal or b"#" in pattern.literal:
        raise RouteRefused("pattern", "a path is matched without its query")
    # What is behind the beginning may complete an escape, or a segment.
    begins = pattern.literal
    if b"%" in begins:
        begins = _UNFINISHED.sub(b"", begins)
    if begins:
        normal = normalise_path(begins + b"x")
        if normal != begins + b"x":
            raise RouteRefused(
                "pattern",
                "a path is matched in its normal form, which begins here with "
                + escape(normal[:-1]).decode("latin-1"),
            )
    _check_ends(pattern, PATH)
    return pattern


def _check_printable(source: bytes) -> None:
    """A pattern is written, logged and told in one spelling, its own: so it must have one."""
    bad = source.translate(None, _PRINTABLE)
    if bad:
        raise RouteRefused(
            "pattern", f"hosts and paths hold no control characters such as \\x{bad[0]:02X}"
        )


def _check_ends(pattern: Pattern, subject: Subject) -> None:
    """Refuse a pattern that begins or ends with a character that C{subject} never has."""
    bad = (pattern.literal + pattern.tail).translate(None, subject.characters)
    if bad:
        raise _never(subject, 1 << bad[0])


def _never(subject: Subject, mask: int) -> RouteRefused:
    if mask.bit_count() == 1:
        what = repr(chr(mask.bit_length() - 1))
    else:
        what = "any of the characters of a class here"
    return RouteRefused("pattern", f"{subject.name} never holds {what}")


def escape(text: bytes) -> bytes:
    """Return the pattern that matches C{text} and nothing else."""
    return b"".join(b"\\%c" % byte if byte in META else b"%c" % byte for byte in text)


def options(*, ignore_case: bool) -> Any:
    """Return the RE2 options that every pattern is compiled with."""
    made = re2.Options()
    made.encoding = re2.Options.Encoding.LATIN1
    made.log_errors = False
    made.never_capture = True
    made.dot_nl = True
    made.case_sensitive = not ignore_case
    made.max_mem = _MAX_MEM
    return made


def _compile(source: bytes, ignore_case: bool) -> Any:
    try:
        compiled = re2.compile(source, options(ignore_case=ignore_case))
    except re2.error as error:
        raise _refusal(error.args[0]) from None
    return compiled


def _refusal(message: bytes | str) -> RouteRefused:
    """Translate RE2's message, which ends with the offending piece, for a person."""
    text = message.decode("latin-1") if isinstance(message, bytes) else message
    piece = text.rpartition(": ")[2].encode("latin-1")
    for beginning, reason in _UNSUPPORTED:
        if piece.startswith(beginning):
            return RouteRefused("pattern", reason)
    if text.startswith("invalid escape sequence") and piece[1:2].isdigit():
        return RouteRefused("pattern", "RE2 has no back-references")
    if text.startswith("bad repetition operator") and piece.endswith(b"+"):
        return RouteRefused(
            "pattern",
            "RE2 has no possessive repetition; it never backtracks, so leave the '+' out",
        )
    if text.startswith("no argument for repetition operator: *"):
        return RouteRefused(
            "pattern",
            "a * repeats what is before it, and nothing is; for any text write .*",
        )
    if text.startswith("invalid repetition size"):
        return RouteRefused("pattern", "a repetition counts from the less to the more, as in {2,3}")
    return RouteRefused("pattern", f"RE2 says: {text}")


def _leading_literal(source: bytes, *, ascii_only: bool) -> tuple[bytes, bytes]:
    """Split C{source} into the literal that every match begins with, and the pattern after it.

    Conservative: where RE2's syntax offers subtleties, the literal ends. With C{ascii_only} it
    ends before any other byte too, because RE2 folds the case of those and we do not.
    """
    at = 1 if source.startswith(b"^") else 0
    literal = bytearray()
    starts: list[int] = []
    while at < len(source):
        byte = source[at]
        if byte == 0x5C:
            if at + 1 >= len(source) or source[at + 1] in WORD or source[at + 1] >= 0x80:
                break
            starts.append(at)
            literal.append(source[at + 1])
            at += 2
        elif byte in META or (ascii_only and byte >= 0x80):
            break
        else:
            starts.append(at)
            literal.append(byte)
            at += 1
    nothing = _NOTHING.match(source, at)
    behind = at if nothing is None else nothing.end()
    if behind < len(source) and source[behind] in REPEATS and literal:
        # Also where flags stand between a character and what repeats it: a(?i)*
        literal.pop()
        at = starts[-1]
    rest = source[at:]
    if _has_alternative(rest):
        return b"", source
    return bytes(literal), rest


def _has_alternative(rest: bytes) -> bool:
    """Tell whether a C{|} outside parentheses may make the beginning optional.

    Classes and C{\\Q..\\E} are not understood; where one of them makes the count of parentheses
    doubtful, the answer is yes.
    """
    if b"|" not in rest:
        return False
    if b"[" in rest or b"\\Q" in rest:
        return True
    depth = 0
    escaped = False
    for byte in rest:
        if escaped:
            escaped = False
        elif byte == 0x5C:
            escaped = True
        elif byte == 0x28:
            depth += 1
        elif byte == 0x29:
            depth -= 1
        elif byte == 0x7C and depth <= 0:
            return True
    return False


def _is_sound(compiled: Any, literal: bytes, ignore_case: bool) -> bool:
    """Ask RE2 whether all matches lie between C{literal} and the next text that doesn't begin so.

    It takes precedence from a pattern whose literal beginning we misread. RE2 gives no range
    for some patterns, and folds case its own way: then our own reading stands.
    """
    if ignore_case:
        return True
    try:
        low, high = compiled.possiblematchrange(len(literal) + 1)
    except re2.error:
        return True
    after = literal[:-1] + bytes((min(literal[-1] + 1, 255),))
    return bool(literal <= low and high <= after)
