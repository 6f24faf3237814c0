"""Harms real processes under load and reckons what it cost: the demo's and the campaign's machinery."""
