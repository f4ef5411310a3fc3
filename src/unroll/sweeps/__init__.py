"""Sweeps: a search among the options of a variant, by what trials bring on validation.

The trials of a sweep stand in a database, from which any number of processes take them.
"""
