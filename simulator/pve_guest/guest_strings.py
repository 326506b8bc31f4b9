"""The property strings among a virtual machine's options, and which of its options are drives.

Data, registered by name for the parameters that take them; names, types and limits are those of the
official API schema of Proxmox VE 9.
"""

from __future__ import annotations

import re

from simulator.pve.formats import FORMATS
from simulator.pve.parameters import PROPERTY_STRINGS, table
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
