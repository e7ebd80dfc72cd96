"""Keep the memories of several devices the same, through a folder that is carried."""
