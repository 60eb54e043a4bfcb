"""Filters: each judges rows and gives a reason code; none reads or writes files by itself."""
