"""All functions that answer a request.

They stand together here, so that `app` can import them together at the first request.
"""

from sediment_mcp.server.completions import complete
from sediment_mcp.server.prompts import get_prompt, list_prompts
from sediment_mcp.server.resources import list_resources, list_templates, read_resource
from sediment_mcp.server.tools import call_tool, find_tool, list_tools

__all__ = [
    "call_tool",
    "complete",
    "find_tool",
    "get_prompt",
    "list_prompts",
    "list_resources",
    "list_templates",
    "list_tools",
    "read_resource",
]
