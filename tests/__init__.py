"""Tests, told as stories: a lab, an event, what an operator sees."""
