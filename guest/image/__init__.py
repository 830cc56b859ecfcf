"""Images of virtual machines: Python, an application and the kernel modules it needs, as an initramfs."""
