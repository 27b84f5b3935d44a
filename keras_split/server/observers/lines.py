"""The program's own log: what people who run a server want to read."""

from __future__ import annotations

import logging

from keras_split.server.observers.observer import Event, Observer

_TEXTS = {
    "turn_granted": "{party} has turn {turn}.",
    "turn_left": "{party} trains no more for now.",
    "turn_began": "{party} begins at update {update}, turn {turn}.",
    "turn_resumed": "{party} goes on at update {update} after its connection broke, turn {turn}.",
    "committed": "{party} committed {number}, at update {update} of turn {turn}.",
    "rolled_back": "Went back from update {from_update} to {update}: the rest was not committed.",
    "turn_ended": "{party} ends at update {update}, turn {turn}.",
}
_log = logging.getLogger(__name__)


class Lines(Observer):
    """Logs turns and commits; whatever else happens at the level of debugging."""

    def see(self, event: Event) -> None:
        """Logs it, with the facts that a structured log shows."""
        facts = event.facts
        names = {"turn": facts.get("turn"), "version": facts.get("update")}
        extra = {"event": event.kind, "member": event.party or None, **names}
        if event.kind in _TEXTS:
            _log.info(_TEXTS[event.kind].format(party=event.party or "A client", **facts), extra=extra)
        else:
            _log.debug("%s %s", event.kind, dict(facts), extra=extra)
