"""Whole stories, from a change in git to a lab that follows it."""
