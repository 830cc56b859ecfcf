"""The shell on asyncio: it imports neither Twisted nor zope."""
