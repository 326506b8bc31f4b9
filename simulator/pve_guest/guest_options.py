"""Every option of a virtual machine: its kind, who may set it, and how it behaves.

Data for the calls that create, change and start guests. Names, types and limits are those of the
official API schema of Proxmox VE 9; what applies live is the administration guide's, hotplug; the
privilege of an option is that of PVE::API2::Qemu check_vm_modify_config_perm.
"""

from __future__ import annotations

import re
from functools import cache

from simulator.pve.parameters import Table, table
from simulator.pve.propertystring import items
from simulator.pve_guest.guest_strings import DISKS, drive_kind, is_drive

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
