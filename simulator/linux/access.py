"""Who one is: id, whoami, getent. Source: id(1). Leaves out: groups beyond one's own and sudo."""

from __future__ import annotations

from simulator.linux.call import Call, Failed, Programs

programs = Programs()


@programs.add("id")
def id_(call: Call) -> int:
    """Numbers and names of a user."""
    options, operands = call.options("ungG", "user", "name", "group")
    name = operands[0] if operands else call.user
    account = call.state.accounts.get(name)
    if account is None:
        raise Failed(1, f"id: '{name}': no such user\n")
    if options.any("-u", "--user", "-g", "--group"):
        call.say(name if options.any("-n", "--name") else str(account.uid))
        return 0
    groups = [f"{account.uid}({name})", *(["27(sudo)"] if account.sudo else [])]
    call.say(f"uid={account.uid}({name}) gid={account.uid}({name}) groups={','.join(groups)}")
    return 0


@programs.add("whoami")
def whoami(call: Call) -> int:
    """The user's name."""
    call.say(call.user)
    return 0


@programs.add("getent")
def getent(call: Call) -> int:
    """`getent passwd NAME`: 2 if there is none."""
    if len(call.args) != 2 or call.args[0] not in ("passwd", "group"):
        raise Failed(1, "getent: only `getent passwd|group NAME' is simulated\n")
    account = call.state.accounts.get(call.args[1])
    if account is None:
        return 2
    name = call.args[1]
    if call.args[0] == "group":
        call.say(f"{name}:x:{account.uid}:")
    else:
        call.say(f"{name}:x:{account.uid}:{account.uid}::{account.home}:/bin/bash")
    return 0
