"""A campaign of faults: real servers on one data directory, harmed at random moments, every answer checked.

__main__     the command line
campaign     the plan, the audits, the table at the end
injuries     what is done to the servers, the disk, the clock and the files
derived      damage to derived files
versions     another version of the package beside this one
slot         one place for a server process, and the thread that asks it
disk         the data directory on a small disk of its own
shim         faults of system calls and of the clock (shim.c)
launch       how a server is started: the real one, with small thresholds
history      what was asked and answered, in order, kept in a file
checker      pure: does a history keep the promises?
"""
