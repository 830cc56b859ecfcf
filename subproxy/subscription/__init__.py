"""The Twisted shell of the wire: listeners, channels and liveness of subscriptions."""
