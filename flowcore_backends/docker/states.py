"""What the engine shows of containers: whether they have begun and ended, when and how, and where they are. Pure."""

from __future__ import annotations

from datetime import datetime

from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore_backends.pod_judgement import KILLED, START_ERROR, Ended

_LONGEST_NOTE = 4096
_ZERO_TIME = "0001-01-01"
_STATES_OF_ENDED = ("exited", "dead")


def has_started(shown: JsonObject) -> bool:
    """Whether a container, as the engine shows it, has ever run."""
    return when(object_of(shown, "State"), "StartedAt") is not None


def has_ended(shown: JsonObject) -> bool:
    """Whether a container has run and does not run any more."""
    return text_of(object_of(shown, "State"), "Status") in _STATES_OF_ENDED


def ended_of(name: str, shown: JsonObject) -> Ended:
    """How a container that does not run any more ended. A code that only says that it could not be started becomes ``StartError``."""
    state = object_of(shown, "State")
    given = state.get("ExitCode")
    code = given if isinstance(given, int) else KILLED
    begun, over = when(state, "StartedAt"), when(state, "FinishedAt")
    if state.get("OOMKilled"):
        return Ended(name, code or KILLED, "OOMKilled", "", begun, over)
    error = text_of(state, "Error")
    if error and begun is None:
        return Ended(name, START_ERROR, "StartError", error[:_LONGEST_NOTE], None, over)
    return Ended(name, code, "Error", "", begun, over)


def when(state: JsonObject, key: str) -> datetime | None:
    """A point in time of a container's state; the engine writes the year 1 for what has not happened."""
    text = text_of(state, key)
    if not text or text.startswith(_ZERO_TIME):
        return None
    whole, dot, rest = text.partition(".")
    digits = "".join(character for character in rest if character.isdigit())[:6] if dot else ""
    try:
        return datetime.fromisoformat(f"{whole.removesuffix('Z')}.{digits:0<6}+00:00" if dot else text.replace("Z", "+00:00"))
    except ValueError:
        return None


def address_of(shown: JsonObject) -> str | None:
    """A container's address in its network, or None while it has none."""
    settings = object_of(shown, "NetworkSettings")
    networks = settings.get("Networks")
    for network in networks.values() if isinstance(networks, dict) else ():
        if isinstance(network, dict) and (address := text_of(network, "IPAddress") or text_of(network, "GlobalIPv6Address")):
            return address
    return text_of(settings, "IPAddress") or None
