"""Pure rules about memories: no input or output, no clock of their own."""
