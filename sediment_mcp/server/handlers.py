"""All functions that answer a request and need the operations.

They stand together here, so that `parts` can import them together, behind the first answer.
"""

from sediment_mcp.server.completions import complete
from sediment_mcp.server.prompts import get_prompt, list_prompts
from sediment_mcp.server.resources import TEMPLATES, list_resources, read_resource
from sediment_mcp.server.tool_calls import call_tool, find_tool

__all__ = [
    "TEMPLATES",
    "call_tool",
    "complete",
    "find_tool",
    "get_prompt",
    "list_prompts",
    "list_resources",
    "read_resource",
]
