"""Hosts on this machine: where each lists its MCP servers, and how our entry is edited.

`registry` is the table of hosts, `config_format` edits one entry of a configuration, on top of `jsonc` for
JSON with comments, and `config_file` reads and replaces the file. `launch_command` finds the command that
starts this installation, `install_plan` puts these together, `smoke_test` starts what was written, and
`agent_instructions` tells the agents of one project when to use their memory.

Nothing in here reads the environment: a `Machine` is passed in, so that each platform can be tested on any.
"""
