"""Tests of what can be declared."""
