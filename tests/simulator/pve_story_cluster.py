"""The part of the story that is about the cluster: people, objects, networks, firewalls.

Steps that networks and guests share are here, too.
"""

from __future__ import annotations

from simulator.pve.factors import read_totp
from tests.simulator.pve_cluster import Cluster
from tests.simulator.pve_story import Step

SDN, FIREWALL, NODE = "/cluster/sdn", "/cluster/firewall", "/nodes/pve1"
TELLING = "/cluster/notifications"
MAC = "BC:24:11:00:00:01"


def rules(base: str, kind: str = "in") -> list[Step]:
    """A firewall rule that comes and goes, and options."""
    return [
        (f"POST {base}/rules", {"type": kind, "action": "ACCEPT", "enable": 1}),
        (f"PUT {base}/rules/0", {"comment": "ä"}),
        (f"DELETE {base}/rules/0", {}),
        (f"PUT {base}/options", {"enable": 0}),
    ]


def sets(base: str) -> list[Step]:
    """An alias and a set of addresses that come and go."""
    return [
        (f"POST {base}/aliases", {"name": "web", "cidr": "10.0.0.1"}),
        (f"PUT {base}/aliases/web", {"cidr": "10.0.0.2"}),
        (f"DELETE {base}/aliases/web", {}),
        (f"POST {base}/ipset", {"name": "web"}),
        (f"POST {base}/ipset/web", {"cidr": "10.0.0.0/24"}),
        (f"PUT {base}/ipset/web/10.0.0.0%2F24", {"comment": "x"}),
        (f"DELETE {base}/ipset/web/10.0.0.0%2F24", {}),
        (f"DELETE {base}/ipset/web", {}),
    ]


def _target(kind: str, **params: object) -> list[Step]:
    at = f"{TELLING}/endpoints/{kind}"
    return [
        (f"POST {at}", {"name": "push", **params}),
        (f"PUT {at}/push", {"comment": "x"}),
        (f"POST {TELLING}/targets/push/test", {}),
        (f"DELETE {at}/push", {}),
    ]


APP = "otpauth://totp/lab:ana?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def _code(here: Cluster) -> str:
    """What the app shows."""
    return read_totp(APP).code(int(here.api.epoch_s + here.twin.now_s) // 30)


PEOPLE: list[Step] = [
    ("POST /access/vncticket",
     {"authid": "root@pam", "path": "/vms/100", "privs": "VM.Console", "vncticket": "x"}),
    ("POST /access/groups", {"groupid": "ops"}),
    ("PUT /access/groups/ops", {"comment": "x"}),
    ("POST /access/users", {"userid": "ana@pve", "groups": "ops", "password": "long enough"}),
    ("PUT /access/users/ana@pve", {"email": "a@b.de"}),
    ("PUT /access/password", {"userid": "ana@pve", "password": "longer yet"}),
    ("POST /access/tfa/ana@pve", {"type": "totp", "description": "x", "totp": APP,
                                  "value": _code}),
    ("PUT /access/tfa/ana@pve/{factor}", {"description": "y"}),
    ("DELETE /access/tfa/ana@pve/{factor}", {}),
    ("PUT /access/users/ana@pve/unlock-tfa", {}),
    ("POST /access/users/ana@pve/token/t1", {}),
    ("PUT /access/users/ana@pve/token/t1", {"comment": "x"}),
    ("POST /access/roles", {"roleid": "Few", "privs": "VM.Audit"}),
    ("PUT /access/roles/Few", {"privs": "VM.Console", "append": 1}),
    ("PUT /access/acl", {"path": "/vms", "roles": "Few", "users": "ana@pve"}),
    ("POST /access/domains", {"realm": "corp", "type": "ldap", "server1": "h1",
                              "base_dn": "dc=lab", "user_attr": "uid"}),
    ("PUT /access/domains/corp", {"comment": "x"}),
    ("POST /access/domains/corp/sync", {"scope": "users"}),
    ("POST /cluster/jobs/realm-sync/often", {"realm": "corp", "schedule": "hourly",
                                             "scope": "both"}),
    ("PUT /cluster/jobs/realm-sync/often", {"schedule": "daily", "comment": "x"}),
    ("DELETE /cluster/jobs/realm-sync/often", {}),
    ("DELETE /access/domains/corp", {}),
    ("POST /access/openid/auth-url", {"realm": "pve", "redirect-url": "https://h1"}),
    ("POST /access/openid/login", {"code": "x", "state": "y", "redirect-url": "https://h1"}),
    ("DELETE /access/users/ana@pve/token/t1", {}),
    ("DELETE /access/users/ana@pve", {}),
    ("DELETE /access/roles/Few", {}),
    ("DELETE /access/groups/ops", {}),
]  # fmt: skip
OBJECTS: list[Step] = [
    ("POST /storage", {"storage": "more", "type": "dir", "path": "/srv/more",
                       "content": "iso,vztmpl,images,rootdir"}),
    ("PUT /storage/more", {"disable": 0}),
    ("POST /pools", {"poolid": "web"}),
    ("PUT /pools/web", {"comment": "x"}),
    ("DELETE /pools/web", {}),
    ("POST /pools", {"poolid": "web"}),
    ("PUT /pools", {"poolid": "web", "comment": "y"}),
    ("DELETE /pools", {"poolid": "web"}),
    ("PUT /cluster/options", {"keyboard": "de", "description": "ä"}),
    ("POST /cluster/backup", {"id": "nightly", "schedule": "daily", "all": 1}),
    ("PUT /cluster/backup/nightly", {"comment": "x"}),
    ("DELETE /cluster/backup/nightly", {}),
    ("POST /cluster/metrics/server/db", {"type": "graphite", "server": "h1", "port": 2003}),
    ("PUT /cluster/metrics/server/db", {"server": "h2", "port": 2003}),
    ("DELETE /cluster/metrics/server/db", {}),
    *[
        step
        for kind, place in (("dir", "path=/srv/data"), ("pci", "path=0000:01:00.0,id=10de:1db6"),
                            ("usb", "id=1d6b:0002"))
        for step in (
            (f"POST /cluster/mapping/{kind}", {"id": "web", "map": [f"node=pve1,{place}"]}),
            (f"PUT /cluster/mapping/{kind}/web", {"map": [f"node=pve1,{place}"]}),
            (f"DELETE /cluster/mapping/{kind}/web", {}),
        )
    ],
]  # fmt: skip
NOTIFICATIONS: list[Step] = [
    *_target("gotify", server="https://h1", token="x"),
    *_target("sendmail", mailto=["a@b.de"]),
    *_target("smtp", server="h1", mailto=["a@b.de"], **{"from-address": "pve@b.de"}),
    *_target("webhook", url="https://h1", method="post"),
    (f"POST {TELLING}/matchers", {"name": "late", "target": ["mail-to-root"]}),
    (f"PUT {TELLING}/matchers/late", {"match-severity": ["error"]}),
    (f"DELETE {TELLING}/matchers/late", {}),
]
NETS: list[Step] = [
    (f"POST {SDN}/lock", {}),
    (f"DELETE {SDN}/lock", {"force": 1}),
    (f"POST {SDN}/ipams", {"ipam": "own", "type": "pve"}),
    (f"PUT {SDN}/ipams/own", {}),
    (f"DELETE {SDN}/ipams/own", {}),
    (f"POST {SDN}/dns", {"dns": "pd", "type": "powerdns", "url": "http://h1", "key": "x"}),
    (f"PUT {SDN}/dns/pd", {"ttl": 60}),
    (f"DELETE {SDN}/dns/pd", {}),
    (f"POST {SDN}/controllers", {"controller": "c1", "type": "evpn", "asn": 1,
                                 "peers": "10.0.0.1"}),
    (f"PUT {SDN}/controllers/c1", {"asn": 2}),
    (f"DELETE {SDN}/controllers/c1", {}),
    (f"POST {SDN}/zones", {"zone": "z1", "type": "simple", "ipam": "pve"}),
    (f"PUT {SDN}/zones/z1", {"mtu": 1400}),
    (f"POST {SDN}/vnets", {"vnet": "v1", "zone": "z1"}),
    (f"PUT {SDN}/vnets/v1", {"alias": "x"}),
    (f"POST {SDN}/vnets/v1/subnets", {"subnet": "10.0.0.0/24", "type": "subnet"}),
    (f"PUT {SDN}/vnets/v1/subnets/z1-10.0.0.0-24", {"gateway": "10.0.0.1"}),
    *rules(f"{SDN}/vnets/v1/firewall", "forward"),
    (f"POST {SDN}/vnets/v1/ips", {"zone": "z1", "ip": "10.0.0.9", "mac": MAC}),
    (f"PUT {SDN}/vnets/v1/ips", {"zone": "z1", "ip": "10.0.0.8", "mac": MAC, "vmid": 100}),
    (f"DELETE {SDN}/vnets/v1/ips", {"zone": "z1", "ip": "10.0.0.8", "mac": MAC}),
    (f"POST {SDN}/fabrics/fabric", {"id": "f1", "protocol": "openfabric",
                                    "ip_prefix": "10.9.0.0/24"}),
    (f"PUT {SDN}/fabrics/fabric/f1", {"protocol": "openfabric", "hello_interval": 1}),
    (f"POST {SDN}/fabrics/node/f1", {"node_id": "pve1", "protocol": "openfabric",
                                     "ip": "10.9.0.1", "interfaces": ["name=eno1"]}),
    (f"PUT {SDN}/fabrics/node/f1/pve1", {"protocol": "openfabric", "delete": ["interfaces"]}),
    (f"PUT {SDN}", {}),
    (f"DELETE {SDN}/fabrics/node/f1/pve1", {}),
    (f"DELETE {SDN}/fabrics/fabric/f1", {}),
    (f"DELETE {SDN}/vnets/v1/subnets/z1-10.0.0.0-24", {}),
    (f"DELETE {SDN}/vnets/v1", {}),
    (f"DELETE {SDN}/zones/z1", {}),
    (f"POST {SDN}/rollback", {}),
]  # fmt: skip
FIREWALLS: list[Step] = [
    *rules(FIREWALL),
    *rules(f"{NODE}/firewall"),
    *sets(FIREWALL),
    (f"POST {FIREWALL}/groups", {"group": "web"}),
    (f"POST {FIREWALL}/groups/web", {"type": "in", "action": "ACCEPT"}),
    (f"PUT {FIREWALL}/groups/web/0", {"comment": "x"}),
    (f"DELETE {FIREWALL}/groups/web/0", {}),
    (f"DELETE {FIREWALL}/groups/web", {}),
]
