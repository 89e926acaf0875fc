"""Channels of one's own: functions that every notification is handed to, each in its process."""

from responder.channels.channels import Channels

__all__ = ["GROUP", "Channels"]

from responder.channels.found import GROUP
