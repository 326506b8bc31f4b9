"""Where guests that do not exist yet are to be created: the twin places them around those that do.

Between observing and planning. Afterwards HA and people move guests; a location is never a value.
"""

from __future__ import annotations

from controller.observed import Observed
from controller.stage import stage_of
from lab.kinds.guest import Power
from lab.lab import Lab
from simulator.declared import declared_workload
from simulator.guests import set_workload
from simulator.placement import placements


def place_new(lab: Lab, observed: Observed) -> Observed:
    """`observed` with a node for every declared guest that is not there."""
    there = {
        (cluster, int(vmid)): node
        for cluster in lab.clusters
        for vmid, node in observed.context(f"pve/{cluster}").locations.items()
        if node in lab.nodes
    }
    declared = {(guest.cluster, guest.vmid): guest for guest in lab.guests.values()}
    if declared.keys() <= there.keys():
        return observed
    stage = stage_of(lab, observed)
    for cluster in lab.clusters:
        set_workload(stage, cluster, declared_workload(lab, cluster))
    running = {key for key, guest in declared.items() if guest.state is Power.STARTED}
    chosen = placements(stage.facts, running, there)
    for cluster in lab.clusters:
        new = {str(vmid): node for (owner, vmid), node in chosen.items() if owner == cluster}
        observed = observed.placing(f"pve/{cluster}", new)
    return observed
