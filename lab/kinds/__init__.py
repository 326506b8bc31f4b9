"""The words of the language: one file each, no vendor and no simulator in any of them."""
