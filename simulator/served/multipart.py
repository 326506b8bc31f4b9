"""Forms with a file in them, read piece by piece as they arrive. Source: RFC 7578, RFC 2046 5.1.

Of the file only its name, its size, its start and one checksum stay, so it may be of any size.
Leaves out: nested parts, transfer encodings, more than one file (the last one counts).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

HEAD_LIMIT_BYTES = 8 * 1024
FIELD_LIMIT_BYTES = 64 * 1024
START_BYTES = 64  # the headers of disk images say there what is in them


class MalformedForm(Exception):
    """What arrived is no form; its text says why."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that was sent. `field`: of the form; `checksum`: hexadecimal, "" where none is due;
    `start`: its first `START_BYTES`.
    """

    field: str
    name: str
    size_bytes: int
    checksum: str = ""
    start: bytes = b""


@dataclass(frozen=True, slots=True)
class Form:
    """What a form holds: its fields, and its file."""

    fields: Mapping[str, str] = field(default_factory=dict)
    file: File | None = None


class FormReader:
    """Takes a form in pieces. `digest_field` names the field that says, before the file comes, how
    the file is summed up: `sha256`.
    """

    def __init__(self, content_type: str, digest_field: str = "") -> None:
        """Raises MalformedForm for a content type that is not a form's."""
        match = re.search(r'^multipart/form-data\b.*\bboundary="?([^";,\s]+)"?', content_type, re.I)
        if match is None:
            raise MalformedForm(f"no form: {content_type}")
        self._mark = b"\r\n--" + match[1].encode("latin-1")
        self._digest_field = digest_field
        self._buffer = b"\r\n"  # the first boundary may be the first line
        self._part: _Part | None = None  # None: in front of the first boundary
        self._in_head = self._ended = False
        self._fields: dict[str, str] = {}
        self._file: File | None = None

    def feed(self, piece: bytes) -> None:
        """Take what arrived next. Raises MalformedForm."""
        self._buffer += piece
        while not self._ended and (self._head() if self._in_head else self._content()):
            pass

    def end(self) -> Form:
        """All of it. Raises MalformedForm if the last boundary is missing."""
        if not self._ended:
            raise MalformedForm("the form is cut off")
        return Form(self._fields, self._file)

    def _content(self) -> bool:
        """Pass a part's content on, up to the next boundary; False if more has to arrive."""
        content, found, rest = self._buffer.partition(self._mark)
        if not found:
            keep = len(self._mark) - 1
            self._take(self._buffer[:-keep])
            self._buffer = self._buffer[-keep:]
            return False
        if len(rest) < 2:
            return False
        self._take(content)
        self._close()
        self._ended, self._in_head = rest.startswith(b"--"), True
        self._buffer = rest
        return True

    def _head(self) -> bool:
        """Read the lines in front of a part's content; False if more has to arrive."""
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if len(head) > HEAD_LIMIT_BYTES:
            raise MalformedForm("a part's header is too long")
        if not found:
            return False
        disposition = re.search(rb"^content-disposition:(.*)$", head, re.I | re.M)
        named = rb'\b(name|filename)="([^"]*)"'
        values = dict(re.findall(named, disposition[1])) if disposition is not None else {}
        if b"name" not in values:
            raise MalformedForm("a part has no name")
        name = values[b"filename"].decode(errors="replace") if b"filename" in values else None
        algorithm = self._fields.get(self._digest_field, "") if name is not None else ""
        self._part = _Part(values[b"name"].decode(errors="replace"), name, algorithm)
        self._in_head, self._buffer = False, rest
        return True

    def _take(self, content: bytes) -> None:
        if self._part is not None:
            self._part.take(content)

    def _close(self) -> None:
        part = self._part
        if part is not None and part.file_name is not None:
            start = bytes(part.start)
            self._file = File(part.name, part.file_name, part.size_bytes, part.checksum, start)
        elif part is not None:
            self._fields[part.name] = bytes(part.text).decode(errors="replace")


class _Part:
    """One part, while it arrives."""

    def __init__(self, name: str, file_name: str | None, algorithm: str) -> None:
        self.name, self.file_name = name, file_name
        self.size_bytes = 0
        self.text, self.start = bytearray(), bytearray()
        known = algorithm in hashlib.algorithms_guaranteed and "shake" not in algorithm
        self._hash = hashlib.new(algorithm, usedforsecurity=False) if known else None

    @property
    def checksum(self) -> str:
        return self._hash.hexdigest() if self._hash else ""

    def take(self, content: bytes) -> None:
        self.size_bytes += len(content)
        if self.file_name is None:
            if self.size_bytes > FIELD_LIMIT_BYTES:
                raise MalformedForm(f"the field {self.name} is too long")
            self.text += content
            return
        self.start += content[: START_BYTES - len(self.start)]
        if self._hash is not None:
            self._hash.update(content)
