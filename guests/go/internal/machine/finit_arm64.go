package machine

// sysFinitModule is not in package syscall.
const sysFinitModule = 273
