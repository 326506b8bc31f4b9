"""SDN's objects: zones, controllers, address managers, DNS servers.

Each kind is a `Kind` over its section file, its calls registered by one function. Nets and subnets,
which belong to one another, are in `sdn_vnets`; making it all run in `sdn_apply`. Source:
PVE::API2::Network::SDN and its plugins. Leaves out: asking outside address managers and name
servers (none answers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve.sections import (
    SectionFile,
    check_fixed,
    check_known,
    check_new,
    check_removable,
)
from simulator.pve.wire import ApiError, bad_parameters, died
from simulator.pve_datacenter import sdn_state
from simulator.pve_datacenter.sdn_state import CONTROLLERS, DNS, IPAMS, VNETS, ZONES
from simulator.pve_guest.guest_config import mac_address

routes = Routes()

PLUGINS = "/usr/share/perl5/PVE/Network/SDN"
VIEW = "pending? boolean\nrunning? boolean\n"
LOCK_TOKEN = "lock-token? string\n"  # noqa: S105 - a parameter's line
CHANGES = LOCK_TOKEN + "delete? pve-configid-list ..4096\ndigest? string ..64\n"
NOT_KEPT = frozenset(items("delete digest lock-token type"))
Hook = Callable[[Call, str, dict[str, Entry]], None]


def _nothing(call: Call, name: str, entries: dict[str, Entry]) -> None:
    """No check of its own."""


def died_at(text: str, place: str, line: int) -> ApiError:
    """A `die` without an end of line: Perl adds where it happened. Source: recorded answers."""
    return died(f"{text} at {PLUGINS}/{place} line {line}.")


@dataclass(frozen=True)
class Kind:
    """One kind of object. `update` checks (and completes) what is about to be written, `delete`
    whether it may go.
    """

    what: str  # zones
    word: str  # zone
    file: SectionFile
    name: str  # of its id: a table's line
    keys: str
    update: Hook = _nothing
    delete: Hook = _nothing
    create_keys: str = ""
    staged: bool = True

    @property
    def base(self) -> str:
        """Its place in the API."""
        return f"/cluster/sdn/{self.what}"


def view(call: Call, what: str, file: SectionFile) -> dict[str, dict[str, object]]:
    """Objects as the call asks for: staged, running, or what is pending; two of them have no
    digest.
    """
    if call.flag("pending"):
        found = sdn_state.pending(call.documents, what)
    elif call.flag("running"):
        found = {
            name: dict(entry) for name, entry in sdn_state.running(call.documents, what).items()
        }
    else:
        digest = file.digest(call.documents)
        found = {
            name: {**entry, "digest": digest}
            for name, entry in file.entries(call.documents).items()
        }
    return {name: {"digest": None, **found[name]} for name in sorted(found)}


def sent(call: Call, *names: str) -> dict[str, Value]:
    """Settings that were sent, as they are kept."""
    skipped = NOT_KEPT | set(names)
    kept = {
        key: value for key, value in call.values.items() if key not in skipped and call.has(key)
    }
    for key in ("nodes", "exitnodes"):
        if key in kept:
            kept[key] = ",".join(sorted(set(call.words(key))))
    return kept


def changed(call: Call, file: SectionFile, old: Entry, settings: Mapping[str, Value]) -> Entry:
    """An entry after a PUT. Raises for what can't be changed or unset."""
    kind = file.types[str(old["type"])]
    check_known(kind, settings)
    check_fixed(kind, old, settings)
    check_removable(kind, call.words("delete"), settings)
    left = {key: value for key, value in old.items() if key not in call.words("delete")}
    return {**left, **settings}


@dataclass(frozen=True)
class Calls:
    """The five calls of a kind."""

    kind: Kind

    def register(self) -> None:
        """Let them answer. A zone's own path decides who may change it."""
        kind, word = self.kind, self.kind.word
        at, may = f"{kind.base}/{{{word}}}", f"/sdn/{kind.what} SDN.Allocate"
        mine = f"/sdn/{kind.what}/{{{word}}} SDN.Allocate"
        change = mine if word == "zone" else may
        types = f"enum({','.join(kind.file.types)})\n"
        seen = VIEW if kind.staged else ""
        new = kind.name + kind.keys + kind.create_keys + LOCK_TOKEN + f"type {types}"
        routes.add(f"GET {kind.base}", "all", f"type? {types}{seen}")(self.listed)
        routes.add(f"POST {kind.base}", may, new)(self.create)
        routes.add(f"GET {at}", mine, kind.name + seen)(self.one)
        routes.add(f"PUT {at}", change, kind.name + kind.keys + CHANGES)(self.update)
        routes.add(f"DELETE {at}", change, kind.name + LOCK_TOKEN)(self.delete)

    def _find(self, call: Call, known: Mapping[str, object]) -> str:
        name = call.text(self.kind.word)
        if name not in known:
            raise died(f"sdn '{name}' does not exist")
        return name

    def listed(self, call: Call) -> object:
        """All that the caller may see."""
        kind, wanted = self.kind, call.text("type")
        return [
            {kind.word: name, **row}
            for name, row in view(call, kind.what, kind.file).items()
            if wanted in ("", row["type"])
            and call.may(f"/sdn/{kind.what}/{name}", "SDN.Audit", "SDN.Allocate")
        ]

    def one(self, call: Call) -> object:
        """One."""
        known = view(call, self.kind.what, self.kind.file)
        name = self._find(call, known)
        return {self.kind.word: name, **known[name]}

    def create(self, call: Call) -> object:
        """A new one."""
        file, word = self.kind.file, self.kind.word
        name, settings = call.text(word), sent(call, word)
        check_new(file.types[call.text("type")], settings)
        with sdn_state.locked(call, f"create sdn {word} object failed"):
            entries = file.entries(call.documents)
            if name in entries:
                raise died(f"sdn {word} object ID '{name}' already defined")
            entries[name] = {"type": call.text("type"), **settings}
            self.kind.update(call, name, entries)
            file.write(call.documents, entries)
        return None

    def update(self, call: Call) -> object:
        """Change one."""
        file, word = self.kind.file, self.kind.word
        settings = sent(call, word)
        with sdn_state.locked(call, f"update sdn {word} object failed"):
            call.need_digest(file.digest(call.documents))
            entries = file.entries(call.documents)
            name = self._find(call, entries)
            entries[name] = changed(call, file, entries[name], settings)
            self.kind.update(call, name, entries)
            file.write(call.documents, entries)
        return None

    def delete(self, call: Call) -> object:
        """Remove one that nothing uses."""
        file = self.kind.file
        with sdn_state.locked(call, f"delete sdn {self.kind.word} object failed"):
            entries = file.entries(call.documents)
            name = self._find(call, entries)
            self.kind.delete(call, name, entries)
            del entries[name]
            file.write(call.documents, entries)
        return None


def _check_zone(call: Call, name: str, entries: dict[str, Entry]) -> None:
    zone, old = entries[name], ZONES.entries(call.documents).get(name)
    if old is not None and (old.get("ipam") or "") != (zone.get("ipam") or ""):
        _need_no_subnets(call, name)
    servers = DNS.entries(call.documents)
    for key in ("dns", "reversedns"):
        if zone.get(key) and zone[key] not in servers:
            raise bad_parameters(**{key: f"{zone[key]} don't exist"})
    if zone.get("dnszone") and not zone.get("dns"):
        raise bad_parameters(dnszone="missing dns server")
    if zone.get("ipam") and zone["ipam"] not in IPAMS.entries(call.documents):
        raise bad_parameters(ipam=f"{zone['ipam']} not existing")
    if zone["type"] == "vxlan" and bool(zone.get("peers")) == bool(zone.get("fabric")):
        text = "must have exactly one of peers / fabric defined"
        raise bad_parameters(fabric=text, peers=text)
    if zone["type"] == "evpn":
        entries[name] = _evpn_zone(call, name, entries)


def _need_no_subnets(call: Call, zone: str) -> None:
    nets = VNETS.entries(call.documents)
    for entry in sdn_state.SUBNETS.entries(call.documents).values():
        net = nets.get(str(entry.get("vnet")))
        if net is not None and net.get("zone") == zone:
            text = "can't change ipam if a subnet is already defined in this zone"
            raise bad_parameters(ipam=text)


def _evpn_zone(call: Call, name: str, entries: dict[str, Entry]) -> Entry:
    """An EVPN zone needs its controller, a number of its own, and has a MAC address."""
    zone = entries[name]
    controller = CONTROLLERS.entries(call.documents).get(str(zone.get("controller")))
    place = "Zones/EvpnPlugin.pm"
    if controller is None:
        raise died_at(f"controller {zone.get('controller')} don't exist", place, 354)
    if controller["type"] != "evpn":
        raise died_at(f"{zone.get('controller')} is not a evpn controller type", place, 356)
    for other, entry in entries.items():
        if other != name and entry.get("vrf-vxlan") == zone.get("vrf-vxlan"):
            text = f"vrf-vxlan {zone.get('vrf-vxlan')} is already declared in {other}"
            raise died_at(text, place, 365)
    return {**zone, "mac": zone.get("mac") or mac_address(call.documents, call.chance)}


def _check_zone_unused(call: Call, name: str, entries: dict[str, Entry]) -> None:
    for net, entry in sorted(VNETS.entries(call.documents).items()):
        if entry.get("zone") == name:
            text = f"zone {name} is used by vnet {net}"
            raise died_at(text, "Zones/Plugin.pm", 149)


def _check_controller(call: Call, name: str, entries: dict[str, Entry]) -> None:
    controller = entries[name]
    if controller["type"] != "evpn":
        return
    if bool(controller.get("peers")) == bool(controller.get("fabric")):
        text = "must have exactly one of peers / fabric defined"
        raise bad_parameters(fabric=text, peers=text)
    if any(other != name and entry["type"] == "evpn" for other, entry in entries.items()):
        text = "only 1 global evpn controller can be defined"
        raise died_at(text, "Controllers/EvpnPlugin.pm", 504)


def _check_controller_unused(call: Call, name: str, entries: dict[str, Entry]) -> None:
    for zone, entry in sorted(ZONES.entries(call.documents).items()):
        if entry.get("controller") == name:
            place = "Controllers/EvpnPlugin.pm"
            raise died_at(f"controller {name} is used by {zone}", place, 476)


def _ask_ipam(call: Call, name: str, entries: dict[str, Entry]) -> None:
    """An outside address manager is asked whether it is there: none is."""
    if (kind := entries[name]["type"]) != "pve":
        url = entries[name].get("url")
        raise died(f"Can't connect to {kind} api: 500 Can't connect to {url}")


def _ask_dns(call: Call, name: str, entries: dict[str, Entry]) -> None:
    raise died(f"dns api error: 500 Can't connect to {entries[name].get('url')}")


_ID = r"/[a-zA-Z][a-zA-Z0-9]*[a-zA-Z0-9]/ 2..8"
_SHORT_ID = r"/[a-zA-Z][a-zA-Z0-9]*[a-zA-Z0-9]/ 2.."
_LONG_ID = r"/[a-zA-Z][a-zA-Z0-9_-]*[a-zA-Z0-9]/ 2..64"
ZONE_ID = f"zone {_ID}\n"
IPAM_ID = f"ipam {_SHORT_ID}\n"
_DNS_KEYS = sdn_state.DNS_KEYS + "key? string\nurl? string\n"
_NEW_DNS_KEYS = "key string\nreversev6mask? integer\nurl string\n"
KINDS = (
    Kind("zones", "zone", ZONES, ZONE_ID, sdn_state.ZONE_KEYS, _check_zone, _check_zone_unused),
    Kind(
        "controllers",
        "controller",
        CONTROLLERS,
        f"controller {_LONG_ID}\n",
        sdn_state.CONTROLLER_KEYS,
        _check_controller,
        _check_controller_unused,
    ),
    Kind("ipams", "ipam", IPAMS, IPAM_ID, sdn_state.IPAM_KEYS, _ask_ipam, staged=False),
    Kind(
        "dns",
        "dns",
        DNS,
        f"dns {_SHORT_ID}\n",
        _DNS_KEYS,
        _ask_dns,
        create_keys=_NEW_DNS_KEYS,
        staged=False,
    ),
)
for _kind in KINDS:
    Calls(_kind).register()
index(routes, "/cluster/sdn", "vnets zones controllers ipams dns fabrics", "id", "/sdn SDN.Audit")
index(routes, "/nodes/{node}/sdn", "zones vnets fabrics")
