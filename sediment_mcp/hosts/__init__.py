"""The hosts on this machine: where each keeps its list of MCP servers, how we get into it and out again.

`places` is the table of hosts, `jsonc` edits a file by one member, `config_file` reads and replaces it,
`entry` says which command really starts this installation, `setting_up` puts all of it together, `trial`
starts what was written, and `guidance` tells the agents of one project when to use their memory.

Nothing in here reads the environment: a `Machine` is passed in, so each platform can be tested on any.
"""
