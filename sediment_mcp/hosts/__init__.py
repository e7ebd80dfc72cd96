"""Hosts on this machine: where each lists its servers and hooks, and how ours are edited.

`registry` is the table of hosts, whose files stand where `locations` says. `config_format` edits one entry of
a configuration, on top of `jsonc` for JSON with comments; `toml_format` and `yaml_format` do so for the
others, and `config_file` reads and replaces the file. `launch_command` finds the command that starts this
installation, `server_entry` is its form in a host's file, translated by `entry_shape`; `install_plan` puts
these together, and `hook_plan` does so for the hooks of `hook_file`. `smoke_test` starts what was written,
and `agent_instructions` tells agents when to use their memory.

Nothing in here reads the environment: a `Machine` is passed in, so that each platform can be tested on any.
"""
