"""Connections between processes, on asyncio."""
