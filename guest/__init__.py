"""The guest side: an application in a virtual machine that subscribes to the proxy."""
