"""A campaign of faults: real servers on one database, harmed at random moments, every answer checked.

__main__            the command line
campaign            the plan, the audits, the table at the end
injuries            what is done to the servers, their clock and their derived files, over any database
derived             damage to derived files
backend             what keeps the memories: the interface that the campaign knows
sqlite_backend      a data directory that all servers share
sqlite_injuries     what is done to its disk and its files, and other versions beside
versions            another version of the package beside this one
postgres_backend    a PostgreSQL with a standby, and servers on two machines
postgres_injuries   what is done to that database and to the connections
cluster             the two servers of PostgreSQL
proxy               connections that break, or hang, at chosen points
slot                one place for a server process, and the thread that asks it
disk                a directory on a small disk of its own
shim                faults of system calls and of the clock (shim.c)
launch              how a server is started: the real one, with small thresholds
audit, residue      a look at everything while nobody writes
history             what was asked and answered, in order, kept in a file
checker             pure: does a history keep the promises?
"""
