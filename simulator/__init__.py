"""The digital twin: physics of the lab, and the devices' own APIs served on top of it."""
