"""Names that firewall rules may use: macros, protocols, services and ICMP types.

A macro stands for rules with the protocol and port of a service. Sources: PVE::Firewall's macros
(administration guide, appendix), the IANA registries behind /etc/protocols and /etc/services,
iptables-extensions(8) icmp. Descriptions are ours. Leaves out: services that nobody filters for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.pve.propertystring import items

Template = Mapping[str, str]
"""One rule of a macro: proto, dport, sport, icmp-type; `PARAM` is to be given with the rule."""

_TABLE = """
Amanda        udp:10080 tcp:10080
Auth          tcp:113
BGP           tcp:179
BitTorrent    tcp:6881:6889 udp:6881
BitTorrent32  tcp:6881:6999 udp:6881
CVS           tcp:2401
Ceph          tcp:6789 tcp:3300 tcp:6800:7300
Citrix        tcp:1494 udp:1604 tcp:2598
DAAP          tcp:3689 udp:3689
DCC           tcp:6277
DHCPfwd       udp:67:68>67:68
DHCPv6        udp:546:547>546:547
DNS           udp:53 tcp:53
Distcc        tcp:3632
FTP           tcp:21
Finger        tcp:79
GNUnet        tcp:2086 udp:2086 tcp:1080 udp:1080
GRE           47
Git           tcp:9418
HKP           tcp:11371
HTTP          tcp:80
HTTP/3        udp:443
HTTPS         tcp:443
ICPV2         udp:3130
ICQ           tcp:5190
IMAP          tcp:143
IMAPS         tcp:993
IPIP          94
IPsec         udp:500>500 50
IPsecah       udp:500>500 51
IPsecnat      udp:500 udp:4500 50
IRC           tcp:6667
Jetdirect     tcp:9100
L2TP          udp:1701
LDAP          tcp:389
LDAPS         tcp:636
MDNS          udp:5353
MSNP          tcp:1863
MSSQL         tcp:1433
Mail          tcp:25 tcp:465 tcp:587
Munin         tcp:4949
MySQL         tcp:3306
NNTP          tcp:119
NNTPS         tcp:563
NTP           udp:123
NeighborDiscovery icmpv6/router-solicitation icmpv6/router-advertisement \
    icmpv6/neighbor-solicitation icmpv6/neighbor-advertisement
OSPF          89
OpenVPN       udp:1194
PBS           tcp:8007
PCA           udp:5632 tcp:5631
PMG           tcp:8006
POP3          tcp:110
POP3S         tcp:995
PPtP          47 tcp:1723
Ping          icmp/echo-request
PostgreSQL    tcp:5432
Printer       tcp:515
RDP           tcp:3389
RIP           udp:520
RNDC          tcp:953
Razor         tcp:2703
Rdate         tcp:37
Rsync         tcp:873
SANE          tcp:6566
SMB           udp:135,445 udp:137:139 udp:1024:65535>137 tcp:135,139,445
SMBswat       tcp:901
SMTP          tcp:25
SMTPS         tcp:465
SNMP          udp:161:162 tcp:161
SPAMD         tcp:783
SPICEproxy    tcp:3128
SSH           tcp:22
SVN           tcp:3690
SixXS         tcp:3874 udp:3740 41 udp:5072,8374
Squid         tcp:3128
Submission    tcp:587
Syslog        udp:514 tcp:514
TFTP          udp:69
Telnet        tcp:23
Telnets       tcp:992
Time          tcp:37
Trcrt         udp:33434:33524 icmp/echo-request
VNC           tcp:5900:5999
VNCL          tcp:5500
Web           tcp:80 tcp:443
Webcache      tcp:8080
Webmin        tcp:10000
Whois         tcp:43
"""


def _template(text: str) -> Template:
    """`proto:dport`, `proto:dport>sport`, `proto/icmp-type`, or a protocol alone."""
    if "/" in text:
        proto, _, kind = text.partition("/")
        return {"proto": proto, "icmp-type": kind}
    proto, _, ports = text.partition(":")
    dport, _, sport = ports.partition(">")
    given = {"proto": proto, "dport": dport, "sport": sport}
    return {key: value for key, value in given.items() if value}


MACROS: Mapping[str, Sequence[Template]] = {
    name: tuple(_template(word) for word in words)
    for name, *words in (line.split() for line in _TABLE.strip().splitlines())
}
PREFERRED = {name.lower(): name for name in MACROS}
"""Names are taken in any case and kept in this one."""

PROTOCOLS: Mapping[str, int] = {
    "ip": 0, "icmp": 1, "igmp": 2, "ggp": 3, "ipencap": 4, "st": 5, "tcp": 6, "egp": 8, "igp": 9,
    "pup": 12, "udp": 17, "hmp": 20, "xns-idp": 22, "rdp": 27, "iso-tp4": 29, "dccp": 33, "xtp": 36,
    "ddp": 37, "idpr-cmtp": 38, "ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44, "idrp": 45,
    "rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "skip": 57, "ipv6-icmp": 58, "icmpv6": 58,
    "ipv6-nonxt": 59, "ipv6-opts": 60, "rspf": 73, "vmtp": 81, "eigrp": 88, "ospf": 89, "ax.25": 93,
    "ipip": 94, "etherip": 97, "encap": 98, "pim": 103, "ipcomp": 108, "vrrp": 112, "l2tp": 115,
    "isis": 124, "sctp": 132, "fc": 133, "mobility-header": 135, "udplite": 136, "mpls-in-ip": 137,
    "manet": 138, "hip": 139, "shim6": 140, "wesp": 141, "rohc": 142, "ethernet": 143,
}  # fmt: skip
WITH_PORTS = frozenset(items("udp 17 tcp 6 dccp 33 sctp 132 udplite 136"))
ICMP4, ICMP6 = frozenset({"icmp", "1"}), frozenset(items("icmpv6 ipv6-icmp 58"))

SERVICES = frozenset(
    items(
        """
    tcpmux echo discard systat daytime netstat qotd chargen ftp-data ftp fsp ssh telnet smtp time
    whois tacacs tacacs-ds domain bootps bootpc tftp gopher finger http kerberos iso-tsap acr-nema
    pop3 sunrpc auth nntp ntp epmap netbios-ns netbios-dgm netbios-ssn imap2 snmp snmp-trap
    cmip-man cmip-agent mailq xdmcp bgp smux qmtp z3950 ipx ptp-event ptp-general pawserv zserv
    rpc2portmap codaauth2 clearcase ldap svrloc https snpp microsoft-ds kpasswd submissions saft
    isakmp rtsp nqs asf-rmcp qmqp ipp ldp exec biff login who shell syslog printer talk ntalk
    gdomap uucp klogin kshell dhcpv6-client dhcpv6-server afpovertcp nntps submission ldaps tinc
    silc kerberos-adm domain-s rsync ftps-data ftps telnets imaps pop3s socks proofd rootd openvpn
    rmiregistry lotusnote ms-sql-s ms-sql-m ingreslock datametrics sa-msg-port kermit groupwise
    l2f radius radius-acct cisco-sccp nfs gnunet rtcm-sc104 gsigatekeeper gris cvspserver venus
    venus-se codasrv codasrv-se mon dict f5-globalsite gpsd gds-db icpv2 isns iscsi-target mysql
    ms-wbt-server nut distcc daap svn suucp sysrqd sieve f5-iquery epmd remctl ntske ipsec-nat-t
    iax mtn radmin-port sip sip-tls xmpp-client xmpp-server cfengine mdns postgresql freeciv amqps
    amqp x11 gnutella-svc gnutella-rtr redis sge-qmaster ircd babel ircs-u bbs http-alt webcache
    puppet bacula-dir bacula-fd bacula-sd xmms2 nbd zabbix-agent zabbix-trapper amanda dicom hkp
    git webmin rplay
    """
    )
)
ICMP_TYPES = frozenset(
    items(
        """
    any echo-reply destination-unreachable network-unreachable host-unreachable
    protocol-unreachable port-unreachable fragmentation-needed source-route-failed network-unknown
    host-unknown network-prohibited host-prohibited TOS-network-unreachable TOS-host-unreachable
    communication-prohibited host-precedence-violation precedence-cutoff source-quench redirect
    network-redirect host-redirect TOS-network-redirect TOS-host-redirect echo-request
    router-advertisement router-solicitation time-exceeded ttl-zero-during-transit
    ttl-zero-during-reassembly parameter-problem ip-header-bad required-option-missing
    timestamp-request timestamp-reply address-mask-request address-mask-reply
    """
    )
)
ICMP6_TYPES = frozenset(
    items(
        """
    destination-unreachable no-route communication-prohibited beyond-scope address-unreachable
    port-unreachable failed-policy reject-route packet-too-big time-exceeded
    ttl-zero-during-transit ttl-zero-during-reassembly parameter-problem bad-header
    unknown-header-type unknown-option echo-request echo-reply router-solicitation
    router-advertisement neighbor-solicitation neighbour-solicitation neighbor-advertisement
    neighbour-advertisement redirect
    """
    )
)
