"""The management API of a FreeNAS/TrueNAS array, served on top of the twin."""
