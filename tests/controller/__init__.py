"""Tests of the controller against the twin's served devices."""
