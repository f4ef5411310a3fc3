"""One file per task.

A task's file has three names: `KIND`, `pairs` or `corpus`; `Options`, what its entry in a
params file may say; and `prepare(options)`, which builds the data. Nothing else has to
know of it: `kind: <file name>` in a params file finds it.
"""
