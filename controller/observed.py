"""What is there: things of our kinds, the state around them, and what did not answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from controller.managed import Context, Key, Managed
from controller.step import Answers


@dataclass(frozen=True)
class Observed:
    """One look at all devices.

    `kinds`: device -> what was looked for there. `things` are all of those kinds, ours or foreign.
    `unknown` maps (device, kind) to why it did not answer: nothing of it is known to be absent;
    `doubtful` says the same of single things. `documents`: device -> verbatim answers.
    """

    kinds: Mapping[str, tuple[type[Managed], ...]] = field(default_factory=dict)
    things: Mapping[Key, Managed] = field(default_factory=dict)
    contexts: Mapping[str, Context] = field(default_factory=dict)
    unknown: Mapping[tuple[str, str], str] = field(default_factory=dict)
    doubtful: Mapping[Key, str] = field(default_factory=dict)
    documents: Mapping[str, Answers] = field(default_factory=dict)

    def known(self, key: Key) -> bool:
        """Whether absence of `key` from `things` means that it is absent."""
        return not self.why_unknown(key)

    def why_unknown(self, key: Key) -> str:
        """Why nothing is known of `key`; empty if it is known."""
        return self.doubtful.get(key, self.unknown.get((key.device, key.kind), ""))

    def context(self, device: str) -> Context:
        """What steps and costs on a device depend on."""
        return self.contexts.get(device, Context())

    def doubting(self, doubtful: Mapping[Key, str]) -> Observed:
        """The same with these things unknown: a step that was sent to them may still be at work."""
        return replace(self, doubtful={**self.doubtful, **doubtful})

    def placing(self, device: str, placement: Mapping[str, str]) -> Observed:
        """The same with the places (vmid -> node) at which guests of a device are to be created."""
        context = replace(self.context(device), placement=placement)
        return replace(self, contexts={**self.contexts, device: context})
