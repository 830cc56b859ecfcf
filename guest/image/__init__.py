"""Images of virtual machines: Python, an application and vsock's modules, as an initramfs."""
