"""Adoption of a cluster that is not at hand: from a copy of its /etc/pve, without touching it.

archive -> twin -> the same observation and the same adoption as of a real cluster. Which guests run
and how servers are wired is not in such a copy: `state` of a guest says whether it would start by
itself, and the file of the servers holds what was made up for the twin, to be corrected by hand.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from controller.adopt import FOLDER, Adoption, adopt, as_yaml
from controller.observe import observe
from controller.plan import Note, NoteKind
from controller.pve.family import let_in
from controller.rehearsal import TwinClock
from controller.stage import devices_of
from simulator.pve.copied import twin_of_archive

MADE_UP = ("vlans", "clusters", "nodes")
"""Words of which the copy knows the names and addresses, and the rest is assumed."""
TOLD = (
    Note(NoteKind.UNSAID, f"{FOLDER}/servers.yaml", "cards and cores are assumed: correct them"),
    Note(NoteKind.UNSAID, "guests", "no copy says which run: `state` is what starts by itself"),
)


def adopt_copy(path: Path) -> Adoption:
    """Files that declare what the copy holds. Raises VlabError for what is no such copy."""
    copied = twin_of_archive(path)
    let_in(copied.api)
    lab = copied.twin.model.lab
    adoption = adopt(lab, observe(devices_of(copied.twin), TwinClock(copied.twin)))
    servers = {
        (word, name): entry for word in MADE_UP for name, entry in copied.declared[word].items()
    }
    files = {f"{FOLDER}/servers.yaml": as_yaml(servers), **adoption.files}
    return replace(adoption, files=files, notes=(*TOLD, *adoption.notes))
