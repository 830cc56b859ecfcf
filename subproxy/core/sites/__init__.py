"""The operator's word on hosts and paths, C{[[site]]}: whose a request is, and its rules."""
