"""Certificates of a node from an ACME server. Source: PVE::API2::ACME.

No account can be registered (`pve_datacenter.acme`), so each task fails for want of one. Assumed:
the wording of the refusal without a domain.
"""

from __future__ import annotations

from datetime import UTC, datetime

from simulator.pve.call import Call
from simulator.pve.documents import NodeFiles
from simulator.pve.parameters import parse
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, bad_parameters, died
from simulator.pve_datacenter.resources import proxy_file, set_certificate

routes = Routes()
_ORDER = "/nodes/{node}/certificates/acme/certificate"
_MODIFY = "/nodes/{node} Sys.Modify"
RENEWED_S = 30 * 86_400  # before it ends


@routes.add("GET /nodes/{node}/certificates/acme", takes="node pve-node\n")
def order_index(call: Call) -> object:
    """What can be ordered."""
    del call
    return [{"name": "certificate"}]


def _order(call: Call, task: str) -> str:
    """Start the task. Raises if the node has no domain to order for."""
    config = call.documents.nodes.get(call.node, NodeFiles()).config
    own = parse("acme", str(config["acme"])) if "acme" in config else {}
    if not own.get("domains") and not any(key.startswith("acmedomain") for key in config):
        raise ApiError(400, "ACME domain list in configuration is missing!\n")
    return start_task(call, task, "", {"finish": "acme", "account": own.get("account", "default")})


def _finish_order(worker: Worker) -> None:
    raise TaskError(f"ACME account config file '{worker.text('account')}' does not exist.")


FINISH["acme"] = _finish_order


@routes.add(f"POST {_ORDER}", _MODIFY, "node pve-node\nforce? boolean\n")
def order(call: Call) -> object:
    """Order a certificate: a task."""
    if not call.flag("force") and proxy_file(call.node, "pem") in call.documents.files:
        raise bad_parameters(force="Custom certificate exists but 'force' is not set.")
    return _order(call, "acmenewcert")


@routes.add(f"PUT {_ORDER}", _MODIFY, "node pve-node\nforce? boolean\n")
def renew(call: Call) -> object:
    """Order one again: a task."""
    if (known := set_certificate(call.documents, call.node)) is None:
        raise died("No current (custom) certificate found, please order a new certificate!")
    soon = datetime.fromtimestamp(call.now_s + RENEWED_S, UTC)
    if not call.flag("force") and known.not_valid_after_utc > soon:
        until = "Certificate does not expire within the next 30 days"
        raise bad_parameters(force=f"{until}, and 'force' is not set.")
    return _order(call, "acmerenew")


@routes.add(f"DELETE {_ORDER}", _MODIFY, "node pve-node\n")
def revoke(call: Call) -> object:
    """Give a certificate up: a task."""
    return _order(call, "acmerevoke")
