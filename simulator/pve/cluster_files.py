"""Files below /etc/pve in sections: which keys each may have. Their texts are the state.

    ha/resources.cfg, ha/rules.cfg, domains.cfg, jobs.cfg

Areas with files of their own (SDN, mappings, replication, metric servers) say it themselves; these
are read by several, through `Documents`. Source: the plugins of pve-ha-manager, pve-access-control
and pve-manager.
"""

from __future__ import annotations

from simulator.pve.parameters import Entry, Table, table
from simulator.pve.sections import SectionFile, SectionType, section_type

REALM = r"""
acr-values?             /[^\x00-\x1F\x7F <>#"]*/
audiences?              /[^\x00-\x1F\x7F <>#"]*/
autocreate?             boolean
base_dn?                string ..256
bind_dn?                string ..256
capath?                 string
case-sensitive?         boolean
cert?                   string
certkey?                string
check-connection?       boolean
client-id?              string ..256
client-key?             string ..256
comment?                string ..4096
default?                boolean
domain?                 /\S+/ ..256
filter?                 string ..2048
group_classes?          ldap-simple-attr-list
group_dn?               string ..256
group_filter?           string ..2048
group_name_attr?        ldap-simple-attr ..256
groups-autocreate?      boolean
groups-claim?           /[A-Za-z0-9.\-_]+/ ..256
groups-overwrite?       boolean
issuer-url?             string ..256
mode?                   enum(ldap,ldaps,ldap+starttls)
password?               string
port?                   integer 1..65535
prompt?                 /(?:none|login|consent|select_account|\S+)/
query-userinfo?         boolean
realm                   pve-realm ..32
scopes?                 string
secure?                 boolean
server1?                address ..256
server2?                address ..256
sslversion?             enum(tlsv1,tlsv1_1,tlsv1_2,tlsv1_3)
sync-defaults-options?  realm-sync-options
sync_attributes?        /\w+=[^,]+(,\s*\w+=[^,]+)*/
tfa?                    pve-tfa-config ..128
user_attr?              /\S{2,}/ ..256
user_classes?           ldap-simple-attr-list
verify?                 boolean
"""
"""What a realm may have."""
BACKUP_JOB = """
all?                        boolean
bwlimit?                    integer 0..
comment?                    string ..512
compress?                   enum(0,1,gzip,lzo,zstd)
dow?                        pve-day-of-week-list requires=starttime
dumpdir?                    string
enabled?                    boolean
exclude?                    pve-vmid-list
exclude-path?               array
fleecing?                   backup-fleecing
ionice?                     integer 0..8
lockwait?                   integer 0..
mailnotification?           enum(always,failure)
mailto?                     email-or-username-list
mode?                       enum(snapshot,suspend,stop)
node?                       pve-node
notes-template?             string ..1024 requires=storage
notification-mode?          enum(auto,legacy-sendmail,notification-system)
pbs-change-detection-mode?  enum(legacy,data,metadata)
performance?                backup-performance
pigz?                       integer
pool?                       string
protected?                  boolean requires=storage
prune-backups?              prune-backups
quiet?                      boolean
remove?                     boolean
repeat-missed?              boolean
schedule?                   pve-calendar-event ..128
script?                     string
starttime?                  /\\d{1,2}:\\d{1,2}/
stdexcludes?                boolean
stop?                       boolean
stopwait?                   integer 0..
storage?                    pve-storage-id
tmpdir?                     string
vmid?                       pve-vmid-list
zstd?                       integer
"""
"""What a backup job may have."""


def _type(known: Table, *required: str) -> SectionType:
    return SectionType(required=required, optional=tuple(known.params))


_RESOURCE = """
comment?       string
failback?      boolean
group?         string
max_relocate?  integer
max_restart?   integer
state?         string
"""
HA_RESOURCES = SectionFile(
    "ha/resources.cfg",
    _RESOURCE,
    dict.fromkeys(("vm", "ct"), _type(table(_RESOURCE))),
    typed=True,
    plain=True,
)
_RULE = """
affinity?   string
comment?    string
disable?    boolean
nodes?      string
resources?  string
strict?     boolean
"""
HA_RULES = SectionFile(
    "ha/rules.cfg",
    _RULE,
    {
        "node-affinity": _type(table(_RULE), "nodes", "resources"),
        "resource-affinity": _type(table(_RULE), "affinity", "resources"),
    },
)
_REALM_KEYS = REALM.replace("realm                   pve-realm ..32", "username-claim? string")
PAM: Entry = {
    "type": "pam",
    "comment": "Linux PAM standard authentication",
    "plugin": "PVE::Auth::PAM",  # shown, and not written
}
PVE: Entry = {"type": "pve", "comment": "Proxmox VE authentication server"}
_ANY_REALM = "comment default "
_LDAP = (
    f"{_ANY_REALM} bind_dn capath case-sensitive cert certkey filter group_classes "
    "group_dn group_filter group_name_attr mode password port secure server1+ server2 sslversion "
    "sync-defaults-options sync_attributes tfa user_classes verify "
)
DOMAINS = SectionFile(
    "domains.cfg",
    _REALM_KEYS,
    {
        "ad": section_type(f"{_LDAP} base_dn domain+ user_attr"),
        "ldap": section_type(f"{_LDAP} base_dn+ user_attr+"),
        "openid": section_type(
            f"{_ANY_REALM} acr-values audiences autocreate client-id+ client-key groups-autocreate "
            "groups-claim groups-overwrite issuer-url+ prompt query-userinfo scopes username-claim="
        ),
        "pam": section_type(f"{_ANY_REALM} tfa"),
        "pve": section_type(f"{_ANY_REALM} tfa"),
    },
    builtin={"pam": PAM, "pve": PVE},
    defaults={"pam": PAM, "pve": PVE},
    secrets=frozenset({"password"}),
)
_JOB = f"{BACKUP_JOB}maxfiles? integer\nnotification-policy? string\nnotification-target? string\n"
# the last three: before 9
_SYNC = """
enable-new?       boolean
realm?            string
remove-vanished?  string
scope?            string
"""
JOBS = SectionFile(
    "jobs.cfg",
    _JOB + _SYNC,
    {
        "realm-sync": section_type(
            "realm! schedule+ scope+ comment enabled enable-new remove-vanished"
        ),
        "vzdump": _type(table(_JOB)),
    },
)
