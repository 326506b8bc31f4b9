"""Tests of the faces: command line, HTTP, web page."""
