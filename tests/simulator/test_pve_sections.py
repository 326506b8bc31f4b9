"""Section files as Proxmox VE writes them: order, escaping, what is there without being written."""

from __future__ import annotations

import hashlib

import pytest

from simulator.pve.cluster_files import DOMAINS, HA_RESOURCES, HA_RULES, JOBS
from simulator.pve.documents import Documents, Entry
from simulator.pve.storage_types import STORAGES
from simulator.pve.wire import ApiError


def test_a_section_has_comment_and_disable_first_then_what_is_required() -> None:
    documents = Documents()
    documents.ha_rules["near"] = {
        "type": "node-affinity", "strict": 1, "resources": "vm:100", "nodes": "pve1",
        "disable": 1, "comment": "50%: ñ",
    }  # fmt: skip
    assert documents.files[HA_RULES.path] == (
        "node-affinity: near\n\tcomment 50%25%3A %C3%B1\n\tdisable\n\tnodes pve1\n"
        "\tresources vm:100\n\tstrict 1\n\n"
    )
    assert documents.ha_rules["near"]["comment"] == "50%: ñ"
    assert documents.ha_rules["near"]["disable"] == 1


def test_has_comments_are_plain_and_its_digest_is_that_of_latin_1() -> None:
    documents = Documents()
    documents.ha_resources["vm:101"] = {"type": "vm", "comment": "web ñ"}
    text = documents.files[HA_RESOURCES.path]
    assert text == "vm: 101\n\tcomment web ñ\n\n"
    assert documents.ha_resources.digest == _sha(text.encode("latin-1"))
    documents.ha_resources["vm:101"] = {"type": "vm", "comment": "€"}
    assert documents.ha_resources.digest == _sha(documents.files[HA_RESOURCES.path].encode())


def _sha(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def test_realms_that_are_always_there_are_written_after_the_first_of_our_own() -> None:
    documents = Documents()
    assert list(documents.domains) == ["pam", "pve"]
    assert documents.files == {}
    corp = {"type": "ad", "domain": "c.lab", "server1": "h1", "client-key": "hidden"}
    documents.domains["corp"] = corp
    heads = [line for line in documents.files[DOMAINS.path].splitlines() if line[:1].isalpha()]
    assert heads == ["ad: corp", "pam: pam", "pve: pve"]
    assert "hidden" not in documents.files[DOMAINS.path]
    documents.domains["home"] = corp
    assert list(documents.domains) == ["corp", "pam", "pve", "home"]
    del documents.domains["pam"]
    assert documents.domains["pam"]["comment"] == "Linux PAM standard authentication"


def test_several_sections_are_written_at_once_and_nothing_writes_nothing() -> None:
    documents = Documents()
    documents.jobs.put({})
    assert JOBS.path not in documents.files
    job: Entry = {"type": "vzdump", "schedule": "daily", "exclude-path": ("/a", "/b c")}
    documents.jobs.put({"one": job, "two": job})
    assert documents.jobs["two"]["exclude-path"] == ("/a", "/b c")
    del documents.jobs["one"]
    assert documents.files[JOBS.path] == (
        "vzdump: two\n\texclude-path /a\n\texclude-path /b c\n\tschedule daily\n\n"
    )


def test_a_file_that_a_person_wrote_is_read_with_what_its_types_have_by_themselves() -> None:
    text = "# by hand\n\nnfs: isos\n\tserver  nas\n\texport /tank\n\tdisable\n\tbogus 1\n"
    documents = Documents(files={STORAGES.path: text})
    assert documents.storages["isos"] == {
        "type": "nfs", "server": "nas", "export": "/tank", "disable": 1, "content": "images",
    }  # fmt: skip
    assert documents.storages.digest == _sha(text.encode())
    documents.storages["isos"] = documents.storages["isos"]
    assert documents.files[STORAGES.path] == (
        "nfs: isos\n\tdisable\n\texport /tank\n\tserver nas\n\tcontent images\n\n"
    )


def test_a_value_of_two_lines_or_a_type_that_no_file_has_is_refused() -> None:
    documents = Documents()
    with pytest.raises(ApiError, match="contains a line feed"):
        documents.storages["x"] = {"type": "dir", "path": "/a\n/b"}
    with pytest.raises(ApiError, match="unknown section type 'x'"):
        documents.ha_rules["r"] = {"type": "x"}
    assert documents.files == {}
