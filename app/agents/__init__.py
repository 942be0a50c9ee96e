"""Agents: the tools by which a language model asks for numbers, over the Model Context Protocol (MCP)."""
