"""Users, groups, roles, rights, tokens, realms, pools: who may do what."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.simulator.pve_cluster import SECRET, Cluster, cluster


def test_a_user_is_unset_by_empty_texts_and_has_no_delete() -> None:
    here = cluster()
    here.ok("POST /access/users", userid="ana@pve", email="ana@lab.example", comment="x")
    here.ok("PUT /access/users/ana@pve", email="", comment="")
    assert here.ok("GET /access/users/ana@pve") == {
        "enable": 1,
        "expire": 0,
        "groups": [],
        "tokens": None,
    }
    assert "delete" in here.errors("PUT /access/users/ana@pve", delete="email")


def test_groups_of_a_user_are_replaced_unless_appended() -> None:
    here = cluster()
    for group in ("dev", "ops"):
        here.ok("POST /access/groups", groupid=group)
    here.ok("POST /access/users", userid="ana@pve", groups="ops")
    here.ok("PUT /access/users/ana@pve", groups="dev", append="1")
    assert here.ok("GET /access/users/ana@pve")["groups"] == ["dev", "ops"]
    here.ok("PUT /access/users/ana@pve", groups="dev")
    assert here.ok("GET /access/groups/ops") == {"members": []}
    assert here.refusal("PUT /access/users/ana@pve", groups="none") == (
        500,
        "update user failed: no such group 'none'",
    )


def test_deleting_a_user_takes_tokens_and_rights_along() -> None:
    here = cluster()
    here.user("ana@pve", "PVEAuditor")
    here.ok("DELETE /access/users/ana@pve")
    assert here.ok("GET /access/acl") == []
    assert not [name for name in here.api.documents.tokens if name.startswith("ana@")]
    here.ok("DELETE /access/users/ana@pve")


def test_a_role_of_ones_own_can_change_and_a_built_in_one_not() -> None:
    here = cluster()
    here.ok("POST /access/roles", roleid="Operator", privs="VM.Audit,VM.PowerMgmt")
    here.ok("PUT /access/roles/Operator", privs="VM.Console", append="1")
    assert here.ok("GET /access/roles/Operator") == {
        "VM.Audit": 1,
        "VM.Console": 1,
        "VM.PowerMgmt": 1,
    }
    here.ok("PUT /access/roles/Operator", privs="VM.Audit")
    rows = {row["roleid"]: row for row in here.ok("GET /access/roles")}
    assert rows["Operator"] == {"roleid": "Operator", "privs": "VM.Audit"}
    assert rows["PVEAuditor"]["special"] == 1
    assert here.refusal("PUT /access/roles/PVEAuditor", privs="VM.Audit")[0] == 500
    assert here.errors("POST /access/roles", roleid="x", privs="VM.Bogus") == {
        "privs": "invalid format - invalid privilege 'VM.Bogus'\n"
    }


def test_one_put_gives_every_role_to_everybody_named() -> None:
    here = cluster()
    here.ok("POST /access/groups", groupid="ops")
    here.ok("POST /access/users", userid="ana@pve")
    here.ok(
        "PUT /access/acl",
        path="//vms/100/",
        roles="PVEVMUser,PVEAuditor",
        users="ana@pve",
        groups="ops",
    )
    rows = here.ok("GET /access/acl")
    assert {(row["path"], row["type"], row["roleid"]) for row in rows} == {
        ("/vms/100", kind, role)
        for kind in ("user", "group")
        for role in ("PVEVMUser", "PVEAuditor")
    }
    here.ok("PUT /access/acl", path="/vms/100", roles="PVEAuditor", users="ana@pve", delete="1")
    assert len(here.ok("GET /access/acl")) == 3
    assert here.errors("PUT /access/acl", path="/bogus", roles="PVEAuditor", users="ana@pve") == {
        "path": "invalid ACL path '/bogus'"
    }


def _held(here: Cluster, who: str, path: str) -> set[str]:
    return set(here.ok("GET /access/permissions", userid=who, path=path)[path])


def test_the_deepest_entry_wins_and_no_access_wins_over_all() -> None:
    here = cluster()
    here.user("ana@pve", "PVEAdmin")
    here.api.documents.acl["/vms/100", "user", "ana@pve", "PVEAuditor"] = 1
    here.api.documents.acl["/vms/101", "user", "ana@pve", "NoAccess"] = 1
    assert "VM.Allocate" in _held(here, "ana@pve", "/vms/99")
    assert _held(here, "ana@pve", "/vms/100") == _held(here, "ana@pve", "/vms/100") - {
        "VM.Allocate"
    }
    assert _held(here, "ana@pve", "/vms/101") == set()


def test_an_entry_that_does_not_propagate_ends_where_it_is() -> None:
    here = cluster()
    here.user("ana@pve")
    here.api.documents.acl["/vms", "user", "ana@pve", "PVEVMAdmin"] = 0
    assert "VM.Audit" in _held(here, "ana@pve", "/vms")
    assert _held(here, "ana@pve", "/vms/100") == set()


def test_a_users_own_entry_hides_his_groups_on_the_same_path() -> None:
    here = cluster()
    here.ok("POST /access/groups", groupid="ops")
    here.user("ana@pve", "PVEAuditor")
    here.ok("PUT /access/users/ana@pve", groups="ops")
    here.api.documents.acl["/", "group", "ops", "PVEAdmin"] = 1
    assert "VM.Allocate" not in _held(here, "ana@pve", "/vms")


def test_rights_on_a_pool_hold_on_its_members_only() -> None:
    here = cluster()
    here.guest(100)
    here.guest(101)
    here.ok("POST /pools", poolid="team")
    here.ok("PUT /pools", poolid="team", vms="100", storage="data")
    token = here.user("ana@pve", "PVEAdmin", path="/pool/team")
    assert here.ok("GET /nodes/pve1/qemu/100/config", user=token)
    assert here.refusal("GET /nodes/pve1/qemu/101/config", user=token) == (
        403,
        "Permission check failed (/vms/101, VM.Audit)",
    )
    rows = here.ok("GET /cluster/resources", user=token, type="vm")
    assert [(row["vmid"], row["pool"]) for row in rows] == [(100, "team")]


def test_a_token_with_privilege_separation_has_what_both_have() -> None:
    here = cluster()
    here.user("ana@pve", "PVEAuditor")
    answer = here.ok("POST /access/users/ana@pve/token/ci")
    here.api.documents.tokens["ana@pve!ci"] = {
        **here.api.documents.tokens["ana@pve!ci"],
        "secret": SECRET,
    }
    assert answer["full-tokenid"] == "ana@pve!ci"
    assert here.ok("GET /access/permissions", user="ana@pve!ci") == {}
    here.ok("PUT /access/acl", path="/vms", roles="PVEVMAdmin", tokens="ana@pve!ci")
    assert here.ok("GET /access/permissions", user="ana@pve!ci") == {
        "/vms": {"VM.Audit": 1, "VM.GuestAgent.Audit": 1}
    }


def test_a_tokens_secret_is_told_once_and_the_token_works() -> None:
    here = cluster()
    here.ok("POST /access/users", userid="ana@pve")
    answer = here.ok("POST /access/users/ana@pve/token/ci", privsep="0", comment="ci")
    headers = {"authorization": f"PVEAPIToken=ana@pve!ci={answer['value']}"}
    assert here.ok("GET /version", headers=headers)
    assert "value" not in here.ok("GET /access/users/ana@pve/token/ci")
    assert here.errors("POST /access/users/ana@pve/token/ci") == {
        "tokenid": "Token already exists."
    }
    here.ok("DELETE /access/users/ana@pve/token/ci")
    assert here.refusal("GET /version", headers=headers)[0] == 401
    again = here.ok("POST /access/users/ana@pve/token/ci", privsep=False)
    assert (type(again["info"]["privsep"]), again["info"]["privsep"]) == (int, 0)


def test_what_a_user_may_not_see_is_left_out_and_not_refused() -> None:
    here = cluster()
    here.guest(100)
    weak = here.user("weak@pve")
    for call in ("GET /storage", "GET /pools", "GET /nodes/pve1/qemu", "GET /access/acl"):
        assert here.ok(call, user=weak) == []
    rows = here.ok("GET /cluster/resources", user=weak)
    assert {row["type"] for row in rows} == {"node"}
    assert not any("maxmem" in row for row in rows)


def test_only_one_realm_is_the_default_one() -> None:
    here = cluster()
    here.ok("POST /access/domains", realm="corp", type="ad", server1="dc", domain="d", default="1")
    here.ok("PUT /access/domains/pam", default="1", comment="system")
    rows = {row["realm"]: row for row in here.ok("GET /access/domains", user=None)}
    assert [name for name, row in rows.items() if row.get("default")] == ["pam"]
    assert here.refusal("POST /access/domains", realm="l1", type="ldap") == (
        500,
        "add auth server failed: missing value for required option 'server1'",
    )
    here.ok("DELETE /access/domains/pam")
    rows = {row["realm"]: row for row in here.ok("GET /access/domains", user=None)}
    assert rows["pam"]["comment"] == "Linux PAM standard authentication"


def test_a_pool_holds_each_guest_once_and_must_be_empty_to_go() -> None:
    here = cluster()
    here.guest(100)
    for pool in ("team", "team/a"):
        here.ok("POST /pools", poolid=pool)
    here.ok("PUT /pools", poolid="team", vms="100")
    assert here.refusal("PUT /pools", poolid="team/a", vms="100")[0] == 500
    here.ok("PUT /pools", poolid="team/a", vms="100", allow__move="1")
    (pool,) = here.ok("GET /pools", poolid="team/a")
    assert [member["vmid"] for member in pool["members"]] == [100]
    assert here.refusal("DELETE /pools", poolid="team") == (
        500,
        "delete pool failed: pool 'team' is not empty (contains pool 'team/a')",
    )
    here.ok("PUT /pools", poolid="team/a", vms="100", delete="1")
    here.ok("DELETE /pools", poolid="team/a")
    here.ok("DELETE /pools", poolid="team")
    assert here.ok("GET /pools") == []


def test_a_realm_has_the_settings_of_its_type_and_no_other() -> None:
    here = cluster()
    oidc: dict[str, object] = {"issuer__url": "https://sso.lab.example", "client__id": "pve"}
    add, put = "POST /access/domains", "PUT /access/domains"
    other = here.refusal(add, realm="sso", type="openid", base_dn="dc=lab", **oidc)
    assert other == (500, "add auth server failed: unexpected property 'base_dn'")
    builtin = here.refusal(add, realm="pve2", type="pve")
    assert builtin == (500, "add auth server failed: unable to create builtin type 'pve'")
    asked = here.refusal(add, realm="sso", type="openid", check__connection=1, **oidc)
    assert "can only be set for realms of type 'ldap' or 'ad'" in asked[1]
    here.ok(add, realm="sso", type="openid", client__key="key", **oidc)
    assert here.ok("GET /access/domains/sso")["client-key"] == "key"
    changed = here.refusal(f"{put}/sso", domain="lab")
    assert changed == (500, "update auth server failed: unexpected property 'domain'")
    for realm in ("sso", "none"):
        nothing = here.refusal(f"{put}/{realm}")
        assert nothing == (500, "update auth server failed: no options specified")


def test_a_builtin_realm_gets_back_what_it_says_by_itself() -> None:
    here = cluster()
    here.ok("PUT /access/domains/pam", comment="system")
    here.ok("PUT /access/domains/pam", delete="comment")
    shown = here.ok("GET /access/domains/pam")
    assert shown["comment"] == "Linux PAM standard authentication"
    assert shown["plugin"] == "PVE::Auth::PAM"


def test_a_role_of_ones_own_has_no_name_of_proxmox_ves() -> None:
    reserved = cluster().errors("POST /access/roles", roleid="pveOps", privs="VM.Audit")
    assert "the (case-insensitive) 'PVE' namespace" in reserved["roleid"]


def test_who_owns_a_guest_shares_no_more_than_what_he_has_there() -> None:
    here = cluster()
    here.ok("POST /access/users", userid="bob@pve")
    here.ok("POST /access/roles", roleid="Owner", privs="VM.Allocate VM.Audit")
    here.ok("POST /access/roles", roleid="Reader", privs="VM.Audit")
    here.ok("POST /access/roles", roleid="Starter", privs="VM.PowerMgmt")
    owner = here.user("ana@pve", "Owner", path="/vms/100")
    share: dict[str, Any] = {"user": owner, "path": "/vms/100", "users": "bob@pve"}
    here.ok("PUT /access/acl", roles="Reader", **share)
    more = here.send("PUT /access/acl", roles="Starter", **share)
    assert more.reason == "ACL update failed: 400 Parameter verification failed."
    assert "Cannot add role 'Starter' - requires 'Permissions.Modify' or superset" in str(
        (more.members or {})["message"]
    )
    nothing = here.send("PUT /access/acl", roles="NoAccess", delete=1, **share)
    assert "Cannot remove role 'NoAccess' - requires 'Permissions.Modify'\n" in str(
        (nothing.members or {})["message"]
    )
    here.ok("PUT /access/acl", path="/vms/100", users="ana@pve", roles="Owner", propagate=0)
    wide = here.send("PUT /access/acl", roles="Reader", **share)
    assert "with propagation" in str((wide.members or {})["message"])
    here.ok("PUT /access/acl", roles="Reader", propagate=0, **share)


def test_rights_on_what_never_was_are_taken_but_not_given() -> None:
    here = cluster()
    here.ok("POST /access/users", userid="ana@pve")
    entry = {"path": "/bogus", "users": "ana@pve", "roles": "PVEAuditor"}
    assert here.errors("PUT /access/acl", **entry) == {"path": "invalid ACL path '/bogus'"}
    here.ok("PUT /access/acl", delete=1, **entry)
    nobody = here.user("bob@pve")
    odd = here.refusal("PUT /access/acl", **{**entry, "path": "/a b", "user": nobody})
    assert odd == (403, "Permission check failed")


def test_a_password_is_set_where_the_realm_keeps_some() -> None:
    here = cluster()
    ldap = {"type": "ldap", "server1": "dc1", "base_dn": "dc=lab", "user_attr": "uid"}
    here.ok("POST /access/domains", realm="corp", **ldap)
    for user, why in (
        ("ana@nope", "auth domain 'nope' does not exist"),
        ("ana@corp", "can't set password on auth type 'ldap'"),
    ):
        refused = here.refusal("POST /access/users", userid=user, password="longenough")
        assert refused == (500, f"create user failed: {why}")


def test_a_user_sees_what_his_own_token_may() -> None:
    here = cluster()
    here.user("ana@pve", "PVEAuditor")
    here.ok("PUT /access/password", user=None, headers=here.login(),
            userid="ana@pve", password="longenough")  # fmt: skip
    sent = {"username": "ana@pve", "password": "longenough"}
    found = here.ok("POST /access/ticket", user=None, **sent)
    cookie = {"cookie": f"PVEAuthCookie={quote(found['ticket'], safe='')}"}
    ask: dict[str, Any] = {"user": None, "headers": cookie, "path": "/vms"}
    seen = here.ok("GET /access/permissions", userid="ana@pve!t1", **ask)
    assert "VM.Audit" in seen["/vms"]


def test_only_what_a_token_has_can_be_unset() -> None:
    here = cluster()
    here.user("ana@pve")
    token = "/access/users/ana@pve/token/t1"
    assert here.errors(f"PUT {token}", delete="secret") == {"delete": "unknown option 'secret'"}
    here.ok(f"PUT {token}", delete="comment,expire")
