"""Plans: what a stage does with a variant, in a file that DVC can compare.

A training of hours must not depend on the text of the sources, of which most edits change nothing,
but on what the code does. So a plan holds the variant's options and what came out when the
variant's own code ran with them at toy size, in float64, on made-up data. The same plan: nothing
to train. Plans are in git: a change of behaviour is seen in a diff.
"""
