"""Tests of the twin: fault in, timeline out."""
