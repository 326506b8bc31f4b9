"""Datasets and volumes (zvols): made, grown, changed, and destroyed with all that uses them.

Like the vendor's, deletion first removes shares, tasks and extents below the path, and targets left
without LUNs, sessions or not. Source: reference of the TrueNAS API, block storage chain and
datasets. Leaves out: encryption, access lists, quotas per user.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from simulator.truenas.attachments import attachments_of, remove_attachments
from simulator.truenas.call import Call, Entry, date, serves
from simulator.truenas.documents import Dataset
from simulator.truenas.errors import CallError, Problems, no_such
from simulator.truenas.pools import check_writable
from simulator.truenas.properties import (
    BOTH,
    MANAGED,
    PROPERTIES,
    SCALE_ONLY,
    computed,
    shown,
    size_bytes,
    source_of,
    user_shown,
)
from simulator.truenas.space import Space, size_text

GIB = 2**30
FULL_SHARE = 0.8
"""Larger volumes than this share of what is free are refused without force_size."""
BLOCK_SIZES = {f"{1 << power}K": 1024 << power for power in range(8)} | {"512": 512, "512B": 512}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.:-]*(/[A-Za-z0-9 _.:-]+)*")
_OF_VOLUMES = ("volsize", "volblocksize", "sparse", "force_size")
_OF_FOLDERS = ("quota", "refquota", "recordsize", "atime", "casesensitivity", "aclmode", "acltype")


class Family:
    """Datasets with their children and room, looked up for one call."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.datasets = call.documents.datasets
        self.space = Space(call.documents)

    def entry(self, name: str, *, children: bool = True) -> Entry:
        """A dataset as `pool.dataset.query` shows it."""
        dataset = self.datasets[name]
        entry: Entry = {
            "id": name,
            "type": dataset.type,
            "name": name,
            "pool": name.partition("/")[0],
            "encrypted": False,
            "encryption_root": None,
            "key_loaded": False,
            "locked": False,
            "mountpoint": f"/mnt/{name}" if dataset.type == "FILESYSTEM" else None,
            **self._properties(name, dataset),
        }
        if self.call.version.scale:
            entry["user_properties"] = {
                key: user_shown(text, source, info)
                for key, (text, source, info) in self._user_properties(name).items()
                if key not in MANAGED.values()
            }
        below = self.space.children[name] if children else ()
        return {**entry, "children": [self.entry(child) for child in below]}

    def _properties(self, name: str, dataset: Dataset) -> Entry:
        space, version = self.space, self.call.version
        used, free = space.used(name), space.available(name)
        found: Entry = {
            key: shown(key, *source_of(self.datasets, name, key))
            for key, known in PROPERTIES.items()
            if known.of in (BOTH, dataset.type) and (version.scale or key not in SCALE_ONLY)
        }
        user = self._user_properties(name)
        found |= {
            key: user_shown(*user[property_name])
            for key, property_name in MANAGED.items()
            if property_name in user
        }
        own = space.own(name)
        reserved = max(0, int(dataset.properties.get("refreservation", 0)) - own)
        below = sum(space.used(child) for child in space.children[name])
        sizes = {
            "used": used,
            "available": free,
            "usedbydataset": own,
            "usedbychildren": below,
            "usedbyrefreservation": reserved,
            "usedbysnapshots": 0,
        }
        found |= {key: computed(str(size), size, size_text(size)) for key, size in sizes.items()}
        created = int(self.call.api.epoch_s + dataset.created_s)
        return found | {
            "compressratio": computed("1.00", "1.00", "1.00x"),
            "origin": computed(dataset.origin, dataset.origin),
            "creation": computed(str(created), date(created)),
            "key_format": computed("none", "none", None) | {"value": None},
            "encryption_algorithm": computed("off", "off") | {"value": None},
            "pbkdf2iters": computed("0", "0", "0"),
        }

    def _user_properties(self, name: str) -> dict[str, tuple[str, str, str | None]]:
        """Value, source and ancestor of each; they are inherited like others."""
        found: dict[str, tuple[str, str, str | None]] = {}
        above = name
        while above:
            for key, text in self.datasets[above].user_properties.items():
                local = above == name
                place = ("LOCAL", None) if local else ("INHERITED", above)
                found.setdefault(key, (text, *place))
            above = above.rpartition("/")[0]
        return found


def find_dataset(call: Call, name: str) -> Dataset:
    """A dataset. Raises ENOENT."""
    dataset = call.documents.datasets.get(name)
    if dataset is None:
        raise no_such("PoolDataset", name)
    return dataset


def below(datasets: Iterable[str], name: str) -> list[str]:
    """A dataset and all under it."""
    return [other for other in datasets if other == name or other.startswith(f"{name}/")]


@serves("pool.dataset.query")
def query(call: Call) -> object:
    """Datasets; with `extra.flat` false only pools, what is below them as children."""
    family = Family(call)
    extra = call.args["query-options"].get("extra", {})
    flat, children = extra.get("flat", True), extra.get("retrieve_children", True)
    wanted = _asked_for(call) if flat else None
    names = [
        name
        for name in sorted(family.datasets)
        if (flat or "/" not in name) and (wanted is None or name == wanted)
    ]
    return call.selected([family.entry(name, children=children is not False) for name in names])


def _asked_for(call: Call) -> object:
    """The one id that a filter names; the others need not be worked out."""
    for item in call.args["query-filters"]:
        if isinstance(item, list) and item[:2] in (["id", "="], ["name", "="]) and len(item) == 3:
            return item[2]
    return None


@serves("pool.dataset.get_instance")
def get_instance(call: Call) -> object:
    """One of them."""
    find_dataset(call, call.args["id"])
    return Family(call).entry(call.args["id"])


@serves("pool.dataset.create")
def create(call: Call) -> object:
    """A new dataset or volume."""
    data, problems = call.data, Problems("pool_dataset_create")
    name, kind = data["name"], data["type"]
    missing = _check_place(call, name, problems, ancestors=bool(data.get("create_ancestors")))
    _check_words(data, kind, problems)
    if not call.version.scale:  # only an update could name it then
        for key in [key for key, value in data.items() if value == "INHERIT"]:
            problems.add(key, "Invalid choice: INHERIT")
    if data.get("encryption"):
        problems.add("encryption", "Encrypted datasets are not part of this simulation")
    if kind == "VOLUME":
        _check_new_volume(call, data, problems)
    problems.check()
    check_writable(call, name, "create dataset")
    if kind == "VOLUME" and not data.get("sparse"):
        _check_room(data["volsize"], _room_below(call, name), name)
    for ancestor in missing:
        call.documents.datasets[ancestor] = Dataset("FILESYSTEM", created_s=call.twin.now_s)
    properties, user = _written(data)
    if kind == "VOLUME":
        block = data.get("volblocksize") or ("16K" if call.version.scale else "8K")
        properties["volblocksize"] = str(BLOCK_SIZES[block])
        if not data.get("sparse"):
            properties.setdefault("refreservation", str(data["volsize"]))
    made = Dataset(kind, properties, user, call.twin.now_s)
    return _keep(call, name, made)


def _keep(call: Call, name: str, dataset: Dataset) -> Entry:
    datasets = call.documents.datasets
    message = "changed" if name in datasets else "added"
    datasets[name] = dataset
    call.documents.changed()
    entry = Family(call).entry(name)
    call.emit("pool.dataset.query", message, name, entry)
    return entry


def _check_place(call: Call, name: str, problems: Problems, *, ancestors: bool) -> list[str]:
    """Whether a dataset may be made here; the ancestors that have to be made first."""
    datasets = call.documents.datasets
    parent = name.rpartition("/")[0]
    if not _NAME.fullmatch(name) or len(name) > 200:
        problems.add("name", f"{name}: invalid dataset name")
        return []
    if not parent:
        problems.add("name", "You need a full name, e.g. pool/newdataset")
        return []
    if name in datasets:
        problems.add("name", f"Path {name} already exists", errno.EEXIST)
    parts = parent.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    missing = [ancestor for ancestor in above if ancestor not in datasets]
    if above[0] in missing or (missing and not ancestors):
        problems.add("name", f"Parent dataset {parent} does not exist", errno.ENOENT)
    elif parent in datasets and datasets[parent].type == "VOLUME":
        problems.add("name", f"Parent dataset {parent} is a volume")
    return missing


def _check_words(data: Entry, kind: str, problems: Problems) -> None:
    """What does not fit the type, or is out of bounds."""
    for key in _OF_VOLUMES if kind == "FILESYSTEM" else _OF_FOLDERS:
        if data.get(key) is not None:
            problems.add(key, f"This field is not valid for {kind}")
    for key in ("quota", "refquota"):
        if (size := data.get(key)) and size < GIB:
            problems.add(key, f"{size} is neither 0 nor at least {GIB}")
    if data.get("recordsize") not in (None, "INHERIT"):
        try:
            fits = size_bytes(data["recordsize"]) in [512 << power for power in range(16)]
        except ValueError:
            fits = False
        if not fits:
            problems.add("recordsize", f"{data['recordsize']} is no record size")


def _check_new_volume(call: Call, data: Entry, problems: Problems) -> None:
    if "volsize" not in data:
        problems.add("volsize", "This field is required for VOLUME")
        return
    if data.get("volblocksize") not in (None, *BLOCK_SIZES):
        problems.add("volblocksize", f"{data['volblocksize']} is no block size")
        return
    block = BLOCK_SIZES[data.get("volblocksize") or "16K"]
    _check_volume_size(data, block, _room_below(call, data["name"]), problems)


def _room_below(call: Call, name: str) -> int:
    """What a new dataset could take: what its nearest ancestor has left."""
    parent = name.rpartition("/")[0]
    while parent and parent not in call.documents.datasets:
        parent = parent.rpartition("/")[0]
    return Space(call.documents).available(parent) if parent else 0


def _check_volume_size(data: Entry, block: int, room: int, problems: Problems) -> None:
    size = data["volsize"]
    if size <= 0 or size % block:
        problems.add("volsize", "Volume size should be a multiple of volume block size")
    if not data.get("force_size") and size > room * FULL_SHARE:
        text = "It is not recommended to use more than 80% of your available space for VOLUME"
        problems.add("volsize", text)


def _check_room(needed: int, room: int, name: str) -> None:
    """ZFS itself refuses a thick volume that does not fit, forced or not."""
    if needed > room:
        raise CallError(f"cannot reserve space for '{name}': out of space", errno.ENOSPC)


@serves("pool.dataset.update")
def update(call: Call) -> object:
    """Other properties; a volume only grows."""
    name, data, problems = call.args["id"], call.data, Problems("pool_dataset_update")
    dataset = find_dataset(call, name)
    _check_words(data, dataset.type, problems)
    if "volsize" in data and dataset.type == "VOLUME":
        _check_growth(call, name, dataset, data, problems)
    space = Space(call.documents)
    if data.get("refquota") and data["refquota"] < space.own(name):
        problems.add("refquota", "Quota is below what is in use")
    problems.check()
    check_writable(call, name, "update dataset")
    properties, user = _written(data)
    kept = {**dataset.properties, **properties}
    thick = "refreservation" in dataset.properties
    if "volsize" in properties and thick and "refreservation" not in properties:
        _check_room(data["volsize"], space.available(name) + space.used(name), name)
        kept["refreservation"] = properties["volsize"]
    for key, value in data.items():
        if value == "INHERIT" or (key in PROPERTIES and value is None):
            kept.pop(key, None)
    own = {**dataset.user_properties, **user}
    if "user_properties" in data:  # the whole list, so what is not in it goes
        marks = {item["key"] for item in data["user_properties"]} | {*MANAGED.values()}
        own = {key: text for key, text in own.items() if key in marks}
    for item in data.get("user_properties_update", ()):
        if item.get("remove"):
            own.pop(item["key"], None)
        else:
            own[item["key"]] = item.get("value", "")
    for key, property_name in MANAGED.items():
        if data.get(key) == "INHERIT":
            own.pop(property_name, None)
    return _keep(call, name, replace(dataset, properties=kept, user_properties=own))


def _check_growth(call: Call, name: str, dataset: Dataset, data: Entry, problems: Problems) -> None:
    if data["volsize"] < int(dataset.properties["volsize"]):
        text = "You cannot shrink a zvol from GUI, this may lead to data loss."
        problems.add("volsize", text)
        return
    space = Space(call.documents)
    room = space.available(name) + space.used(name)
    block = int(dataset.properties.get("volblocksize", 16384))
    _check_volume_size(data, block, room, problems)


def _written(data: Entry) -> tuple[dict[str, str], dict[str, str]]:
    """Properties as ZFS keeps them, and user properties."""
    properties = {
        key: _raw(key, value)
        for key, value in data.items()
        if key in PROPERTIES and key != "volblocksize" and value not in (None, "INHERIT")
    }
    user = {item["key"]: item["value"] for item in data.get("user_properties", ())}
    user |= {
        MANAGED[key]: str(value)
        for key, value in data.items()
        if key in MANAGED and value != "INHERIT"
    }
    return properties, user


def _raw(key: str, value: Any) -> str:
    if key == "recordsize":
        return str(size_bytes(value))
    return str(value).lower()


@serves("pool.dataset.attachments")
def attachments(call: Call) -> object:
    """What uses a dataset."""
    find_dataset(call, call.args["id"])
    return attachments_of(call.documents, call.args["id"])


@serves("pool.dataset.recommended_zvol_blocksize")
def recommended_zvol_blocksize(call: Call) -> object:
    """By the number of data disks in a RAIDZ; mirrors and single disks get 16K."""
    if call.args["pool"] not in {row["name"] for row in call.documents.rows("pool").values()}:
        raise no_such("Pool", call.args["pool"])
    return "16K"


@serves("pool.dataset.delete")
def delete(call: Call) -> object:
    """Destroy a dataset, after everything that the array knows to use it."""
    name, options = call.args["id"], call.args["options"]
    dataset = find_dataset(call, name)
    documents = call.documents
    if "/" not in name:
        raise CallError(f"{name}: root dataset cannot be deleted, export the pool", errno.EINVAL)
    remove_attachments(call, name)
    check_writable(call, name, "delete dataset")
    doomed = below(documents.datasets, name)
    snapshots = [known for known in documents.snapshots.values() if known.dataset in doomed]
    word = "volume" if dataset.type == "VOLUME" else "filesystem"
    if (len(doomed) > 1 or snapshots) and not options.get("recursive"):
        text = f"Failed to delete dataset: cannot destroy '{name}': {word} has children"
        raise CallError(text, errno.ENOTEMPTY)
    clones = [
        other
        for other, known in documents.datasets.items()
        if other not in doomed and known.origin in {snapshot.id for snapshot in snapshots}
    ]
    if clones:
        text = f"Failed to delete dataset: cannot destroy '{name}': {word} has dependent clones"
        raise CallError(text, errno.EBUSY)
    for snapshot in snapshots:
        del documents.snapshots[snapshot.id]
    origins = {documents.datasets.pop(other).origin for other in doomed}
    still = {known.origin for known in documents.datasets.values()}
    for origin in origins - still:
        held = documents.snapshots.get(origin)
        if held is not None and held.deferred:
            del documents.snapshots[origin]
    documents.changed()
    call.emit("pool.dataset.query", "removed", name, {})
    return True
