"""Publish: claim, derive, emit, settle."""
