"""Every option of a virtual machine: its kind, who may set it, and how it behaves.

Data for the calls that create, change and start guests. Names, types and limits are those of the
official API schema of Proxmox VE 9; what applies live is the administration guide's, hotplug; the
privilege of an option is that of PVE::API2::Qemu check_vm_modify_config_perm.
"""

from __future__ import annotations

import re
from functools import cache

from simulator.pve.formats import FORMATS
from simulator.pve.parameters import PROPERTY_STRINGS, Table, table
from simulator.pve.propertystring import items

_DRIVE = """
aio?                enum(native,threads,io_uring)
backup?             boolean
bps?                integer
bps_max_length?     integer 1..
bps_rd?             integer
bps_rd_max_length?  integer 1..
bps_wr?             integer
bps_wr_max_length?  integer 1..
cache?              enum(none,writethrough,writeback,unsafe,directsync)
detect_zeroes?      boolean
discard?            enum(ignore,on)
file*               pve-volume-id-or-qm-path
format?             enum(raw,qcow,qed,qcow2,vmdk,cloop)
import-from?        pve-volume-id-or-absolute-path
iops?               integer
iops_max?           integer
iops_max_length?    integer 1..
iops_rd?            integer
iops_rd_max?        integer
iops_rd_max_length? integer 1..
iops_wr?            integer
iops_wr_max?        integer
iops_wr_max_length? integer 1..
mbps?               number
mbps_max?           number
mbps_rd?            number
mbps_rd_max?        number
mbps_wr?            number
mbps_wr_max?        number
media?              enum(cdrom,disk)
replicate?          boolean
rerror?             enum(ignore,report,stop)
serial?             urlencoded ..60
shared?             boolean
size?               disk-size
snapshot?           boolean
werror?             enum(enospc,ignore,report,stop)
volume -> file
bps_rd_length -> bps_rd_max_length
bps_wr_length -> bps_wr_max_length
iops_rd_length -> iops_rd_max_length
iops_wr_length -> iops_wr_max_length
"""
_SSD = "ssd? boolean\nwwn? /(0x)[0-9a-fA-F]{16}/\n"
_VIRTUAL = "iothread? boolean\nro? boolean\n"
_SCSI = r"""
product?    /[A-Za-z0-9\-_\s]{0,16}/
queues?     integer 2..
scsiblock?  boolean
vendor?     /[A-Za-z0-9\-_\s]{0,8}/
"""
_VOLUME_ONLY = "file* pve-volume-id-or-qm-path\nsize? disk-size\nvolume -> file\n"
_RANGES = r"/\d+(?:-\d+)?(?:;\d+(?:-\d+)?)*/"
_PCI = r"([a-f0-9]{4,}:)?[a-f0-9]{2}:[a-f0-9]{2}(\.[a-f0-9])?"
NET_MODELS = items(
    "e1000 e1000-82540em e1000-82544gc e1000-82545em e1000e i82551 i82557b i82559er ne2k_isa "
    "ne2k_pci pcnet rtl8139 virtio vmxnet3"
)
MACHINE = (
    r"/(pc|pc(-i440fx)?-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?|q35|pc-q35-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?"
    r"|virt(?:-\d+(\.\d+)+)?(\+pve\d+)?)/"
)

_STRINGS: dict[str, str] = {
    "agent": """
        enabled*               boolean
        freeze-fs?             boolean
        fstrim_cloned_disks?   boolean
        type?                  enum(virtio,isa)
        freeze-fs-on-backup -> freeze-fs
        guest-fsfreeze -> freeze-fs
        """,
    "pve-qemu-sev-fmt": """
        allow-smt?      boolean
        kernel-hashes?  boolean
        no-debug?       boolean
        no-key-sharing? boolean
        type*           enum(std,es,snp)
        """,
    "pve-qm-boot": "legacy?* /[acdn]{1,4}/\norder? pve-qm-bootdev-list",
    "pve-qm-cicustom": """
        meta?     pve-volume-id
        network?  pve-volume-id
        user?     pve-volume-id
        vendor?   pve-volume-id
        """,
    "pve-qm-hostpci": rf"""
        device-id?      /0x[0-9a-fA-F]{{4}}/
        driver?         string
        host?*          /{_PCI}(;{_PCI})*/
        legacy-igd?     boolean
        mapping?        pve-configid
        mdev?           /[^/.:]+/
        pcie?           boolean
        rombar?         boolean
        romfile?        /[^,;]+/
        sub-device-id?  /0x[0-9a-fA-F]{{4}}/
        sub-vendor-id?  /0x[0-9a-fA-F]{{4}}/
        vendor-id?      /0x[0-9a-fA-F]{{4}}/
        x-vga?          boolean
        """,
    "pve-qm-rng": """
        max_bytes?  integer
        period?     integer
        source*     enum(/dev/urandom,/dev/random,/dev/hwrng)
        """,
    "pve-qm-smbios1": r"""
        base64?        boolean
        family?        /[A-Za-z0-9+\/]+={0,2}/
        manufacturer?  /[A-Za-z0-9+\/]+={0,2}/
        product?       /[A-Za-z0-9+\/]+={0,2}/
        serial?        /[A-Za-z0-9+\/]+={0,2}/
        sku?           /[A-Za-z0-9+\/]+={0,2}/
        uuid?          /[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}/
        version?       /[A-Za-z0-9+\/]+={0,2}/
        """,
    "pve-qm-watchdog": """
        action?  enum(reset,shutdown,poweroff,pause,debug,none)
        model?*  enum(i6300esb,ib700)
        """,
    "audio": "device enum(ich9-intel-hda,intel-hda,AC97)\ndriver? enum(spice,none)",
    "efidisk": _VOLUME_ONLY
    + """
        efitype?            enum(2m,4m)
        format?             enum(raw,qcow,qed,qcow2,vmdk,cloop)
        import-from?        pve-volume-id-or-absolute-path
        ms-cert?            enum(2011,2023,2023w,2023k)
        pre-enrolled-keys?  boolean
        """,
    "ide": _DRIVE + _SSD + "model? urlencoded ..120",
    "sata": _DRIVE + _SSD,
    "scsi": _DRIVE + _SSD + _VIRTUAL + _SCSI,
    "virtio": _DRIVE + _VIRTUAL,
    "ipconfig": """
        gw?   ipv4 requires=ip
        gw6?  ipv6 requires=ip6
        ip?   pve-ipv4-config
        ip6?  pve-ipv6-config
        """,
    "ivshmem": r"name? /[a-zA-Z0-9\-]+/" "\nsize integer 1..",
    "machine": f"""
        aw-bits?    number 32..64
        enable-s3?  boolean
        enable-s4?  boolean
        type?*      {MACHINE} ..40
        viommu?     enum(intel,virtio)
        """,
    "memory": "current* integer 16..",
    "net": f"""
        bridge?     pve-bridge-id
        firewall?   boolean
        link_down?  boolean
        macaddr?    mac-addr
        model*      enum({",".join(NET_MODELS)})
        mtu?        integer 1..65520
        queues?     integer 0..64
        rate?       number 0..
        tag?        integer 1..4094
        trunks?     {_RANGES}
        """,
    "numa": f"""
        cpus        {_RANGES}
        hostnodes?  {_RANGES}
        memory?     number
        policy?     enum(preferred,bind,interleave)
        """,
    "spice": "foldersharing? boolean\nvideostreaming? enum(off,all,filter)",
    "tpmstate": _VOLUME_ONLY
    + """
        format?       enum(raw,qcow2,vmdk)
        import-from?  pve-volume-id-or-absolute-path
        version?      enum(v1.2,v2.0)
        """,
    "unused": "file* pve-volume-id\nvolume -> file",
    "usb": r"""
        host?*    /(0x)?[0-9A-Fa-f]{4}:(0x)?[0-9A-Fa-f]{4}|\d+-\d+(\.\d+)*|[Ss][Pp][Ii][Cc][Ee]/
        mapping?  pve-configid
        usb3?     boolean
        """,
    "vga": """
        clipboard?  enum(vnc)
        memory?     integer 4..512
        type?*      enum(cirrus,qxl,qxl2,qxl3,qxl4,none,serial0,serial1,serial2,serial3,std,virtio,
                         virtio-gl,vmware)
        """,
    "virtiofs": """
        cache?         enum(auto,always,metadata,never)
        direct-io?     boolean
        dirid*         pve-configid
        expose-acl?    boolean
        expose-xattr?  boolean
        """,
}
for _name, _text in _STRINGS.items():
    _models = {model: ("model", "macaddr") for model in NET_MODELS} if _name == "net" else None
    PROPERTY_STRINGS[_name] = table(_text, _models)

DISK_SLOTS = {"ide": 4, "scsi": 31, "virtio": 16, "sata": 6}
"""How many of each; the order is that of the schema's enumeration."""
DISKS = tuple(f"{bus}{n}" for bus, count in DISK_SLOTS.items() for n in range(count))
DRIVES = (*DISKS, "efidisk0", "tpmstate0")
PROPERTY_STRINGS["pve-qm-ide"] = PROPERTY_STRINGS["ide"]
_BOOTABLE = re.compile(r"net([12]?\d|3[01])|usb(\d|1[0-3])|hostpci(\d|1[0-5])")
FORMATS |= {
    "pve-qm-bootdev": lambda text: (
        "" if text in DISKS or _BOOTABLE.fullmatch(text) else f"invalid boot device '{text}'\n"
    ),
    "pve-qm-bootdisk": lambda text: "" if text in DRIVES else f"invalid boot disk '{text}'\n",
}
_DISK = re.compile(r"(ide|scsi|virtio|sata)\d+|(efidisk|tpmstate)0")


def is_drive(option: str) -> bool:
    """Whether an option holds a volume."""
    return _DISK.fullmatch(option) is not None


def drive_kind(option: str) -> str:
    """The property string of a drive: scsi0 -> scsi."""
    return option.rstrip("0123456789")


OPTIONS = r"""
acpi?                boolean
affinity?            pve-cpuset
agent?               {agent}
allow-ksm?           boolean
amd-sev?             pve-qemu-sev-fmt
arch?                enum(x86_64,aarch64)
args?                string
audio0?              {audio}
autostart?           boolean
balloon?             integer 0..
bios?                enum(seabios,ovmf)
boot?                pve-qm-boot
bootdisk?            pve-qm-bootdisk
cdrom?               pve-qm-ide
cicustom?            pve-qm-cicustom
cipassword?          string
citype?              enum(configdrive2,nocloud,opennebula)
ciupgrade?           boolean
ciuser?              string
cores?               integer 1..
cpu?                 pve-vm-cpu-conf
cpulimit?            number 0..128
cpuunits?            integer 1..262144
description?         string ..8192
efidisk0?            {efidisk}
freeze?              boolean
hookscript?          pve-volume-id
hostpci[16]?         pve-qm-hostpci
hotplug?             pve-hotplug-features
hugepages?           enum(any,2,1024)
ide[4]?              {ide}
intel-tdx?           pve-qemu-tdx-fmt
ipconfig[32]?        {ipconfig}
ivshmem?             {ivshmem}
keephugepages?       boolean
keyboard?            enum(de,de-ch,da,en-gb,en-us,es,fi,fr,fr-be,fr-ca,fr-ch,hu,is,it,ja,lt,mk,nl,
                          no,pl,pt,pt-br,sv,sl,tr)
kvm?                 boolean
localtime?           boolean
lock?                enum(backup,clone,create,migrate,rollback,snapshot,snapshot-delete,suspending,
                          suspended)
machine?             {machine}
memory?              {memory}
migrate_downtime?    number 0..
migrate_speed?       integer 0..
name?                dns-name
nameserver?          address-list
net[32]?             {net}
numa?                boolean
numa[8]?             {numa}
onboot?              boolean
ostype?              enum(other,wxp,w2k,w2k3,w2k8,wvista,win7,win8,win10,win11,l24,l26,solaris)
parallel[3]?         /(/dev/parport\d+|/dev/usb/lp\d+)/
protection?          boolean
reboot?              boolean
rng0?                pve-qm-rng
sata[6]?             {sata}
scsi[31]?            {scsi}
scsihw?              enum(lsi,lsi53c810,virtio-scsi-pci,virtio-scsi-single,megasas,pvscsi)
searchdomain?        string
serial[4]?           /(/dev/.+|socket)/
shares?              integer 0..50000
smbios1?             pve-qm-smbios1 ..512
smp?                 integer 1..
sockets?             integer 1..
spice_enhancements?  {spice}
sshkeys?             urlencoded
startdate?           /(now|\d{4}-\d{1,2}-\d{1,2}(T\d{1,2}:\d{1,2}:\d{1,2})?)/
startup?             pve-startup-order
tablet?              boolean
tags?                pve-tag-list
tdf?                 boolean
template?            boolean
tpmstate0?           {tpmstate}
unused[256]?         {unused}
usb[14]?             {usb}
vcpus?               integer 1..
vga?                 {vga}
virtio[16]?          {virtio}
virtiofs[10]?        {virtiofs}
vmgenid?             /(?:[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}|[01])/
vmstatestorage?      pve-storage-id
watchdog?            pve-qm-watchdog
"""
GUEST = "node pve-node\nvmid integer:pve-vmid 100..999999999\n"


@cache
def options() -> Table:
    """All options."""
    return table(OPTIONS)


@cache
def create_table() -> Table:
    """What creating takes."""
    return options() | table(
        GUEST
        + """
        archive?                 string ..255
        bwlimit?                 integer 0..
        force?                   boolean requires=archive
        ha-managed?              boolean
        import-working-storage?  pve-storage-id
        live-restore?            boolean
        pool?                    pve-poolid
        start?                   boolean
        storage?                 pve-storage-id
        unique?                  boolean requires=archive
        """
    )


_CHANGE = """
delete?    pve-configid-list
digest?    string ..40
force?     boolean requires=delete
revert?    pve-configid-list
skiplock?  boolean
"""


@cache
def update_table() -> Table:
    """What changing takes."""
    return options() | table(GUEST + _CHANGE)


@cache
def post_table() -> Table:
    """What changing in the background takes."""
    more = "background_delay? integer 1..30\nimport-working-storage? pve-storage-id"
    return update_table() | table(more)


def typed(option: str, text: str) -> str | int:
    """A value read from a file: integers and booleans are numbers, the rest is text."""
    param = options().params.get(option)
    is_number = param is not None and param.type in ("integer", "boolean")
    return int(text) if is_number and re.fullmatch(r"-?\d+", text) else text


_LIVE = frozenset(
    items(
        """
    name description tags onboot startup protection hookscript lock shares migrate_speed
    migrate_downtime vmstatestorage autostart reboot template ciuser cipassword citype ciupgrade
    cicustom sshkeys nameserver searchdomain digest parent snaptime freeze
    """
    )
)
"""Options that a running guest takes at once. Source: fast_plug_option in PVE::QemuServer."""


def applies_live(option: str, hotplug: frozenset[str], *, numa: bool) -> bool:
    """Whether a running guest takes a change of `option` at once; the rest waits for its next
    start.
    """
    kind = drive_kind(option)
    if option in _LIVE or kind == "ipconfig" or kind == "unused":
        return True
    if kind == "net":
        return "network" in hotplug
    if option in DISKS:
        return "disk" in hotplug and kind in ("scsi", "virtio")
    if kind == "usb":
        return "usb" in hotplug
    if option == "vcpus":
        return "cpu" in hotplug
    if option == "memory":
        return "memory" in hotplug and numa
    return option in ("cpulimit", "cpuunits", "balloon")


_GROUPS: dict[str, str] = {
    "VM.Config.CPU": "affinity cores cpu cpulimit cpuunits numa smp sockets vcpus",
    "VM.Config.Memory": "allow-ksm balloon hugepages keephugepages memory shares",
    "VM.Config.Disk": "boot bootdisk vmstatestorage",
    "VM.Config.HWType": """acpi arch audio0 hotplug ivshmem kvm machine rng0 scsihw smbios1
        spice_enhancements tablet vga vmgenid watchdog amd-sev intel-tdx""",
    "VM.Config.Options": """agent autostart bios description hookscript keyboard localtime
        migrate_downtime migrate_speed name onboot ostype protection reboot startdate startup tags
        tdf template""",
    "VM.Config.Cloudinit": """cicustom cipassword citype ciupgrade ciuser nameserver searchdomain
        sshkeys""",
    "VM.PowerMgmt": "freeze",
    "root": "args lock",
}
_PRIVILEGE = {option: name for name, group in _GROUPS.items() for option in group.split()}
_BY_KIND = {
    "net": "VM.Config.Network",
    "ipconfig": "VM.Config.Cloudinit",
    "numa": "VM.Config.CPU",
    "unused": "VM.Config.Disk",
    "virtiofs": "VM.Config.Disk",
    "parallel": "root",
}


DEVICES = ("hostpci", "serial", "usb")
"""Options that may stand for a real device of the node."""


def privilege_for(option: str, value: str) -> str:
    """The privilege that setting or removing an option needs on the guest; `root`: nobody but
    root@pam.
    """
    kind = drive_kind(option)
    if is_drive(option):
        return "VM.Config.CDROM" if "media=cdrom" in value else "VM.Config.Disk"
    if kind in DEVICES:
        return "VM.Config.HWType"
    return _PRIVILEGE.get(option) or _BY_KIND.get(kind, "VM.Config.Options")
