"""Reading multipath.conf(5): sections in braces, keywords with values, and what is wrong with it.

The daemon goes on past what it doesn't know and says so; nothing in a file stops it. Sources:
multipath.conf(5); defaults and complaints as multipath-tools 0.9 and 0.11 print them. Leaves out:
the built-in table of storage models, overrides by protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from simulator.linux.call import word_set

DEFAULTS: Mapping[str, str] = {
    "polling_interval": "5",
    "path_selector": "service-time 0",
    "path_grouping_policy": "failover",
    "path_checker": "tur",
    "prio": "const",
    "failback": "manual",
    "no_path_retry": "fail",
    "rr_weight": "uniform",
    "rr_min_io_rq": "1",
    "user_friendly_names": "no",
    "find_multipaths": "strict",
    "fast_io_fail_tmo": "5",
    "dev_loss_tmo": "600",
    "features": "0",
    "hardware_handler": "0",
    "verbosity": "2",
    "max_polling_interval": "20",
    "uid_attribute": "ID_SERIAL",
    "flush_on_last_del": "no",
    "detect_prio": "yes",
    "detect_checker": "yes",
    "retain_attached_hw_handler": "yes",
    "deferred_remove": "no",
    "skip_kpartx": "no",
    "recheck_wwid": "no",
    "alias_prefix": "mpath",
    "eh_deadline": "off",
    "queue_without_daemon": "no",
    "wwids_file": "/etc/multipath/wwids",
    "bindings_file": "/etc/multipath/bindings",
    "allow_usb_devices": "no",
    "log_checker_err": "always",
    "checker_timeout": "0",
    "san_path_err_threshold": "no",
    "marginal_pathgroups": "off",
}
_SECTIONS: Mapping[str, str] = {
    "defaults": "",
    "blacklist": "device",
    "blacklist_exceptions": "device",
    "devices": "device",
    "multipaths": "multipath",
    "overrides": "protocol",
}
_MORE: Mapping[str, frozenset[str]] = {
    "blacklist": word_set("devnode wwid property protocol"),
    "blacklist_exceptions": word_set("devnode wwid property protocol"),
    "device": word_set("vendor product revision product_blacklist alias_prefix"),
    "multipath": word_set("wwid alias"),
}
_TOKEN = re.compile(r'[#!][^\n]*|"(?:[^"\n]|"")*"|[{}\n]|[^\s{}"]+')


@dataclass
class Conf:
    """What was read. `entries`: the blocks in devices and multipaths, in order."""

    defaults: dict[str, str] = field(default_factory=dict)
    blacklist: list[tuple[str, str]] = field(default_factory=list)
    exceptions: list[tuple[str, str]] = field(default_factory=list)
    devices: list[dict[str, str]] = field(default_factory=list)
    multipaths: list[dict[str, str]] = field(default_factory=list)
    overrides: dict[str, str] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def setting(self, name: str) -> str:
        """A default."""
        return self.defaults.get(name, DEFAULTS.get(name, ""))

    def of_map(self, wwid: str, vendor: str, product: str) -> dict[str, str]:
        """All settings of one map: its own over overrides, its kind of device and the defaults."""
        found = {**DEFAULTS, **self.defaults}
        for device in self.devices:
            if _matches(device.get("vendor", ""), vendor) and _matches(
                device.get("product", ""), product
            ):
                found |= device
        found |= self.overrides
        for entry in self.multipaths:
            if entry.get("wwid") == wwid:
                found |= entry
        return found

    def blacklisted(self, wwid: str, vendor: str, product: str, devnode: str) -> bool:
        """Whether multipath must leave a path alone."""
        facts = {"wwid": wwid, "devnode": devnode, "device": f"{vendor}:{product}"}
        excepted = any(_holds(rule, facts) for rule in self.exceptions)
        return not excepted and any(_holds(rule, facts) for rule in self.blacklist)


def _holds(rule: tuple[str, str], facts: Mapping[str, str]) -> bool:
    kind, pattern = rule
    value = facts.get(kind, "")
    if pattern.startswith("!"):
        return bool(value) and not _matches(pattern[1:], value)
    return bool(value) and _matches(pattern, value)


def _matches(pattern: str, text: str) -> bool:
    try:
        return bool(pattern) and re.search(pattern, text) is not None
    except re.error:
        return False


def read(texts: Mapping[str, str]) -> Conf:
    """The settings in files, later ones over earlier ones."""
    conf = Conf()
    for file, text in texts.items():
        _File(file, conf).read(text)
    return conf


class _File:
    """One file on its way into a Conf."""

    def __init__(self, file: str, conf: Conf) -> None:
        self.file = file
        self.conf = conf
        self.open: list[str] = []  # sections we are in
        self.block: dict[str, str] = {}

    def read(self, text: str) -> None:
        for number, words in _lines(text):
            if words == ["}"]:
                self._close(number)
            elif words[-1] == "{":
                self._open(number, words[0])
            else:
                self._keyword(number, words)
        if self.open:
            self._say(f"missing '}}' at end of {self.file}")
            while self.open:
                self._close(0)

    def _say(self, text: str) -> None:
        self.conf.complaints.append(text)

    def _complain(self, number: int, text: str) -> None:
        self._say(f"{self.file} line {number}, {text}")

    def _open(self, number: int, name: str) -> None:
        """Enter a section; an unknown one is not entered, and its brace is not matched later."""
        if not self.open and name not in _SECTIONS:
            self._complain(number, f"invalid keyword: {name}")
        elif self.open and name != _SECTIONS.get(self.open[-1]):
            self._complain(number, f"invalid keyword in the {self.open[-1]} section: {name}")
        else:
            self.open.append(name)
            self.block = {}

    def _close(self, number: int) -> None:
        if not self.open:
            self._say(f"unmatched '}}' at line {number} of {self.file}")
            self._complain(number, "invalid keyword: }")
            return
        name, outer = self.open.pop(), self.open[-1] if self.open else ""
        if name == "multipath" and outer == "multipaths":
            self.conf.multipaths.append(self.block)
        elif name == "device" and outer == "devices":
            self.conf.devices.append(self.block)
        elif name == "device" and outer:
            rule = ("device", f"{self.block.get('vendor', '')}.*:{self.block.get('product', '')}")
            self._rules(outer).append(rule)
        self.block = {}

    def _rules(self, section: str) -> list[tuple[str, str]]:
        return self.conf.blacklist if section == "blacklist" else self.conf.exceptions

    def _keyword(self, number: int, words: list[str]) -> None:
        if not self.open:
            self._complain(number, f"invalid keyword: {words[0]}")
            return
        section, name = self.open[-1], words[0]
        known = (
            _MORE.get(section, frozenset())
            | ({} if section.startswith("blacklist") else DEFAULTS).keys()
        )
        if name not in known:
            self._complain(number, f"invalid keyword in the {section} section: {name}")
            return
        if len(words) < 2:
            self._say(f"missing value for option '{name}' on line {number} of {self.file}")
            return
        if len(words) > 2:
            extra = f"ignoring extra data starting with '{words[2]}'"
            self._say(f"{extra} on line {number} of {self.file}")
        value = words[1].strip('"')
        if section.startswith("blacklist"):
            self._rules(section).append((name, value))
        elif section in ("defaults", "overrides"):
            getattr(self.conf, section)[name] = value
        else:
            self.block[name] = value


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers with their words; a brace ends what it opens or closes."""
    number = 1
    words: list[str] = []
    for piece in _TOKEN.findall(text):
        if piece == "\n":
            if words:
                yield number, words
            number, words = number + 1, []
        elif piece == "}":
            if words:
                yield number, words
            yield number, ["}"]
            words = []
        elif piece == "{":
            yield number, [*words, "{"]
            words = []
        elif piece[0] not in "#!":
            words = [*words, piece]
    if words:
        yield number, words
