"""The stages of a study, one file each: what DVC runs and a user may run by hand.

A stage reads files, calls the parts that do the work, and writes files; how something is
computed stands elsewhere.
"""
