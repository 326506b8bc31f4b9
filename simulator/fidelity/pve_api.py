"""Fidelity: recorded exchanges with the real Proxmox VE API, played against this one.

A recording is a file of sequences; each starts from a known state of three nodes (plus files), and
every exchange is sent here in the same order. Digests and task ids that the recording got from
earlier answers are replaced by ours. Answers are compared as maps and sets; values that differ from
run to run are only compared in kind. Source of the format: the README of the recordings. Data is
read, never kept here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lab.faults import parse_faults
from simulator import guests
from simulator.build import twin_of
from simulator.fidelity.pve_comparison import difference, digests, drawn, is_reference, pairs
from simulator.fidelity.pve_https import Deliver, over_https
from simulator.fidelity.pve_known import KNOWN
from simulator.fidelity.pve_recorded import instants_of, rounds_of
from simulator.ha.part import resume
from simulator.pve import etc_pve
from simulator.pve.api import PveApi
from simulator.pve.documents import Documents, Entry, NodeFiles
from simulator.pve.plain_lab import plain_lab
from simulator.pve.sections import digest_of_text
from simulator.pve.storage_types import STORAGES
from simulator.pve.tickets import csrf_token, make_ticket
from simulator.pve.wire import Request, Response
from simulator.twin import Twin

CLUSTER = "lab"
NODES = ("pve1", "pve2", "pve3")
ASKED = "pve1"
ADDRESSES = {node: f"10.10.10.{number}" for number, node in enumerate(NODES, 11)}
STORAGE_CFG = """dir: local
\tpath /var/lib/vz
\tcontent iso,vztmpl,backup,import

dir: data
\tpath /srv/data
\tcontent images,rootdir,snippets

"""
NO_KVM = (
    "KVM virtualisation configured, but not available."
    " Either disable in VM configuration or enable in BIOS."
)
BEGIN_S = 1_795_341_436  # 2026-11-22: about when the recordings were made


@dataclass(frozen=True)
class Outcome:
    """One exchange. `verdict`: equal, known, different, not built or skipped (an artifact)."""

    area: str
    seq: str
    n: int
    call: str
    verdict: str
    why: str = ""
    digests: tuple[tuple[str, str], ...] = ()  # each recorded one, with ours
    texts: Mapping[str, str] = field(default_factory=dict)  # see Player.texts; if a digest differs


@dataclass
class Player:
    """One sequence on its way."""

    twin: Twin
    api: PveApi
    ours_by_theirs: dict[str, str] = field(default_factory=dict)  # digests and task ids
    secrets: dict[str, str] = field(default_factory=dict)  # token -> its secret
    passwords: dict[str, str] = field(default_factory=dict)  # user -> password
    wait_began_s: float = 0.0
    drawn: dict[str, str] = field(default_factory=dict)  # what chance drew: ours -> theirs
    deliver: Deliver | None = None  # the way there; None: in process

    def send(self, exchange: Mapping[str, Any]) -> Response:
        """Our answer to a recorded request."""
        path = "/".join(
            quote(part.replace("%2F", "/"), safe="")
            for part in self._ours(exchange["path"]).split("/")
        )
        params = {key: self._ours(value) for key, value in exchange.get("params", {}).items()}
        if exchange.get("body") != "json":
            params = {key: _text(value) for key, value in params.items()}
        params = {key: self._secret(key, value, params) for key, value in params.items()}
        headers = self._headers(exchange.get("user", "root@pam"))
        request = Request(ASKED, exchange["method"], path, params, headers)
        if self.deliver is not None:
            return self.deliver(request)
        return self.api.handle(self.twin, request)

    def _ours(self, value: Any) -> Any:
        if isinstance(value, str):
            for theirs, ours in self.ours_by_theirs.items():
                value = value.replace(theirs, ours)
        return value

    def _secret(self, key: str, value: Any, params: Mapping[str, Any]) -> Any:
        """A password that the recording hides: the one that the user was given before."""
        user = str(params.get("userid") or params.get("username"))
        if value == "<password>":
            return self.passwords.get(user, "unknown")
        if key == "password":
            self.passwords[user] = str(value)
        return value

    def _headers(self, user: str | None) -> dict[str, str]:
        if user is None:
            return {}
        if "!" in user:
            return {"authorization": f"PVEAPIToken={user}={self.secrets.get(user, 'unknown')}"}
        now_s = int(self.api.epoch_s + self.twin.now_s)
        ticket = quote(make_ticket(self.api, user, now_s), safe="")
        return {
            "cookie": f"PVEAuthCookie={ticket}",
            "csrfpreventiontoken": csrf_token(self.api, user, now_s),
        }

    def wait(self, note: str, at_s: float | None) -> None:
        """Let the time pass that a note tells of, and what happened meanwhile.

        `at_s`: when it was, if that is known, in seconds since the epoch.
        """
        if at_s is not None:
            self.twin.run_until(max(self.twin.now_s, at_s - self.api.epoch_s))
        elif match := re.match(r"t=(\d+)s in this wait", note):
            if match[1] == "0":
                self.wait_began_s = self.twin.now_s
            self.twin.run_until(self.wait_began_s + int(match[1]))
        elif match := re.match(r"about (\d+) s after every process of (\S+) was killed", note):
            self.twin.inject(parse_faults(["fail-node", match[2]]))
            self.twin.run_until(self.twin.now_s + int(match[1]))

    def learn(self, theirs: Any, ours: Any) -> None:
        """Remember which of our digests and task ids stand for the recorded ones."""
        if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
            if "full-tokenid" in theirs and "value" in ours:
                self.secrets[str(ours["full-tokenid"])] = str(ours["value"])
            for key in theirs.keys() & ours.keys():
                self.learn(theirs[key], ours[key])
        elif isinstance(theirs, list) and isinstance(ours, list):
            for one, other in pairs(theirs, ours):
                self.learn(one, other)
        elif isinstance(theirs, str) and isinstance(ours, str):
            if is_reference(theirs):
                self.ours_by_theirs.setdefault(theirs, ours)
            self.drawn |= {mine: other for other, mine in drawn(theirs, ours)}

    def texts(self) -> dict[str, str]:
        """Our files by their digests, with what chance drew there in place of what it drew here."""
        kept = self.api.documents
        texts = [*kept.files.values(), *(guest.text for guest in kept.guests.values())]
        return {digest_of_text(text): self._as_drawn(text) for text in texts}

    def _as_drawn(self, text: str) -> str:
        for mine, other in self.drawn.items():
            text = text.replace(mine, other)
        return text

    def wait_for_tasks(self) -> None:
        """Let all tasks end, as the recorder did before it asked. Raises if one never does."""
        end_s = self.twin.now_s + 3600
        while any(task.running for task in self.api.documents.tasks.values()):
            if self.twin.now_s > end_s:
                raise RuntimeError("a task does not end")
            self.twin.run_until(self.twin.now_s + 1.0)


def _text(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, list) else str(value)


def base(begin_s: float = BEGIN_S) -> tuple[Twin, PveApi]:
    """The state `base` of the recordings. `begin_s`: when it is, in seconds since the epoch."""
    twin = twin_of(plain_lab(CLUSTER, ADDRESSES), empty=True)
    documents = Documents()
    documents.users["root@pam"] = {"enable": 1, "expire": 0, "email": "admin@lab.example"}
    documents.files[STORAGES.path] = STORAGE_CFG
    nic: Entry = {"type": "eth", "method": "manual"}
    network = {"eno1": {**nic, "active": 1}, "eno2": nic, "eno3": nic, "eno4": nic}
    hosts = "127.0.0.1 localhost\n"
    for number, node in enumerate(NODES, 11):
        hosts += f"10.10.10.{number} {node}.lab.example {node}\n"
    for number, node in enumerate(NODES, 11):
        address = f"10.10.10.{number}"
        bridge: Entry = {
            "type": "bridge", "bridge_ports": "eno1", "method": "static", "autostart": 1,
            "active": 1, "cidr": f"{address}/24", "address": address, "netmask": "24",
            "gateway": "10.10.10.1",
        }  # fmt: skip
        documents.nodes[node] = NodeFiles(
            dns={"search": "lab.example", "dns1": "10.10.10.1"},
            hosts=hosts,
            network={**network, "vmbr0": bridge},
        )
    api = PveApi(CLUSTER, documents, epoch_s=begin_s)
    twin.attach(api)
    api.sync(twin)
    twin.settle()
    return twin, api


def prepare(player: Player, header: Mapping[str, Any]) -> None:
    """Put a sequence's files in place, and make the failure that its initial state tells of."""
    files = {path: text for path, text in header.get("files", {}).items() if text is not None}
    given, own = etc_pve.read(files), player.api.documents
    own.files.update(given.documents.files)
    own.guests.update(given.documents.guests)
    for name in ("options", "groups", "roles", "tokens", "acl", "pools"):
        getattr(own, name).update(getattr(given.documents, name))
    if "user.cfg" in files:
        own.users = given.documents.users
    for node, kept in given.documents.nodes.items():
        if kept.config and node in own.nodes:
            own.nodes[node] = replace(own.nodes[node], config=kept.config)
    player.api.sync(player.twin)
    for vmid, node in given.places.items():
        guests.place(player.twin, (CLUSTER, vmid), node)
    if "no guest can be started" in header["initial"]:
        player.twin.state.unfit.update(dict.fromkeys(NODES, NO_KVM))
    player.twin.settle()


def kill_nodes(player: Player, header: Mapping[str, Any]) -> None:
    """What happens after the first exchange of a sequence that loses quorum."""
    told = r"then every process of (.+?) is killed at once, the requests follow about (\d+) s later"
    if match := re.search(told, header["initial"]):
        killed = [node for node in NODES if node in match[1]]
        player.twin.inject(parse_faults(word for node in killed for word in ("fail-node", node)))
        player.twin.run_until(player.twin.now_s + float(match[2]))


def sequences(file: Path) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Header and exchanges of each sequence."""
    header: dict[str, Any] = {}
    exchanges: list[dict[str, Any]] = []
    for line in file.read_text().splitlines():
        entry = json.loads(line)
        if entry["n"] == 0:
            if header:
                yield header, exchanges
            header, exchanges = entry, []
        else:
            exchanges.append(entry)
    if header:
        yield header, exchanges


def replay(file: Path, *, https: bool = False) -> list[Outcome]:
    """Play a recording, in process or over HTTPS."""
    return [
        outcome
        for header, exchanges in sequences(file)
        for outcome in _sequence(file.stem, header, exchanges, https=https)
    ]


def _sequence(
    area: str, header: Mapping[str, Any], exchanges: list[dict[str, Any]], *, https: bool
) -> Iterator[Outcome]:
    rounds = rounds_of(exchanges)
    instants_s = instants_of(exchanges) if rounds else [None] * len(exchanges)
    begin_s = next((at_s for at_s in instants_s if at_s is not None), BEGIN_S)
    twin, api = base(begin_s)
    with over_https(twin, api) if https else nullcontext(None) as deliver:
        player = Player(twin, api, deliver=deliver)
        prepare(player, header)
        if rounds:
            beats_s = rounds.next_beats_s(begin_s, twin.now_s)
            resume(twin, CLUSTER, rounds.master, rounds.holding, beats_s)
        for number, exchange in enumerate(exchanges):
            player.wait(str(exchange.get("note", "")), instants_s[number])
            yield _played(player, area, exchange)
            if number == 0:
                kill_nodes(player, header)


def _played(player: Player, area: str, exchange: Mapping[str, Any]) -> Outcome:
    call = f"{exchange['method']} {exchange['path']}"
    seq, n = str(exchange["seq"]), int(exchange["n"])
    response = player.send(exchange)
    members = response.members or {}
    found = tuple(dict.fromkeys(digests(exchange.get("data"), members.get("data"))))
    player.learn(exchange.get("data"), members.get("data"))
    if isinstance(members.get("data"), str) and str(members["data"]).startswith("UPID:"):
        player.wait_for_tasks()
    if exchange.get("artifact"):
        return Outcome(area, seq, n, call, "skipped", "the recording calls it an artifact")
    if response.status == 501 and exchange["status"] != 501:
        return Outcome(area, seq, n, call, "not built", "no such call here")
    why = difference(player.ours_by_theirs, exchange, response)
    if not why:
        texts = player.texts() if any(one != other for one, other in found) else {}
        return Outcome(area, seq, n, call, "equal", digests=found, texts=texts)
    for known in KNOWN:
        if known.fits(f"{area}/{seq}/{n}", call, why):
            return Outcome(area, seq, n, call, "known", known.why)
    return Outcome(area, seq, n, call, "different", why)
