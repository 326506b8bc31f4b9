"""Forms that arrive in pieces."""

from __future__ import annotations

import hashlib
import tracemalloc

import pytest
from requests import Request

from simulator.served.multipart import Form, FormReader, MalformedForm

KIND = "multipart/form-data; boundary=XyZ"
CONTENT = bytes(range(256)) * 40 + b"\r\n--Xy not the boundary\r\n"


def _body(content: bytes = CONTENT) -> bytes:
    return (
        b'--XyZ\r\nContent-Disposition: form-data; name="content"\r\n\r\niso\r\n'
        b'--XyZ\r\nContent-Disposition: form-data; name="sum"\r\n\r\nsha256\r\n'
        b'--XyZ\r\nContent-Disposition: form-data; name="filename"; filename="a b.iso"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--XyZ--\r\n"
    )


def _read(body: bytes) -> Form:
    reader = FormReader(KIND)
    reader.feed(body)
    return reader.end()


@pytest.mark.parametrize("piece_bytes", [1, 3, 7, 64, 100_000])
def test_a_form_is_the_same_in_pieces_of_any_size(piece_bytes: int) -> None:
    reader, body = FormReader(KIND, "sum"), _body()
    for start in range(0, len(body), piece_bytes):
        reader.feed(body[start : start + piece_bytes])
    form = reader.end()
    assert form.fields == {"content": "iso", "sum": "sha256"}
    assert form.file is not None
    assert (form.file.field, form.file.name) == ("filename", "a b.iso")
    assert form.file.size_bytes == len(CONTENT)
    assert form.file.checksum == hashlib.sha256(CONTENT).hexdigest()


def test_what_requests_encodes_is_read() -> None:
    files = {"filename": ("ä.iso", b"", "application/octet-stream")}
    asked = Request("POST", "https://a/", data={"content": "iso"}, files=files).prepare()
    reader = FormReader(asked.headers["Content-Type"])
    assert isinstance(asked.body, bytes)
    reader.feed(asked.body)
    form = reader.end()
    assert form.fields == {"content": "iso"}
    assert form.file is not None
    assert (form.file.name, form.file.size_bytes, form.file.checksum) == ("ä.iso", 0, "")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (_body()[:-12], "cut off"),
        (b"", "cut off"),
        (b"--XyZ\r\nContent-Type: text/plain\r\n\r\nx\r\n--XyZ--", "no name"),
        (b'--XyZ\r\nContent-Disposition: form-data; name="a"' + b"x" * 9000, "too long"),
        (b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 70_000, "too long"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(MalformedForm, match=why):
        _read(body)
    with pytest.raises(MalformedForm, match="no form"):
        FormReader("application/json")


def test_a_large_file_is_not_held() -> None:
    head, tail = _body(b"").split(b"\r\n--XyZ--")
    reader, piece = FormReader(KIND, "none"), bytes(2**20)
    tracemalloc.start()
    reader.feed(head)
    for _ in range(64):
        reader.feed(piece)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reader.feed(b"\r\n--XyZ--" + tail)
    file = reader.end().file
    assert file is not None
    assert file.size_bytes == 64 * 2**20
    assert peak_bytes < 8 * 2**20
