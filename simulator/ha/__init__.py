"""The HA daemons on the twin: when rounds are, what they see, what comes of them."""
