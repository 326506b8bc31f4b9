"""FreeNAS and TrueNAS arrays: what they hold, and the ways to them."""
