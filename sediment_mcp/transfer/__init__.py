"""Export and import: memories out of one data directory and into another, and in from other places.

record       what every format is read into
lines        our own format: JSON lines that carry everything
merging      one memory in two states, and what replaced it: the rule by which two machines agree
exporting    the job of writing an export
importing    the job of taking one in
sources      files, folders and standard input; bytes to text
recognition  which format is it?
"""
