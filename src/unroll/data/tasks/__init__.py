"""One file per task.

A task's file has three names: `KIND`, `pairs` or `corpus`; `Options`, what its entry in a
params file may say; and `prepare(options)`, which builds the data. Nothing else has to
know of it: `kind: <file name>` in a params file finds it.

A task of pairs may have three more, which say what only it can know: `same(question)`, equal
for questions that must not stand in two splits; `properties(questions)`, the classes by which
its results are broken down; and `mistake(expected, answered)`, the name of a wrong answer.
"""
